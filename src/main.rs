//! The binary: arguments to `cli`, its outcome to an exit code.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
