//! The binary: arguments to `cli`, its outcome to an exit code.

fn main() -> std::process::ExitCode {
    whybounced::cli::main(std::env::args_os())
}
