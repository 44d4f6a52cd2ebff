//! Embeds `catalogue/` in the binary: one table of (path, text), in the order of the paths.
//!
//! Knowledge is data; this is the only code that knows that the data is a folder. Tables are written in
//! TOML, for people, and embedded as JSON, which the program reads in a tenth of the time.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let catalogue = root.join("catalogue");
    println!("cargo::rerun-if-changed=catalogue");
    println!("cargo::rerun-if-changed=build.rs");
    if loader_knows_packed_relocations() {
        // Half a megabyte of addresses that the loader reads at the start, and that stay in memory.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let mut files = Vec::new();
    collect(&catalogue, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&catalogue).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let _ = match json(&file)? {
            Some(json) => writeln!(table, "    ({name:?}, {json:?}),"),
            None => writeln!(table, "    ({name:?}, include_str!({:?})),", file.to_string_lossy()),
        };
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("catalogue.rs");
    fs::write(out, table)?;
    Ok(())
}

/// What a TOML file says, as JSON; the error names the place of a mistake.
fn json(file: &Path) -> Result<Option<String>, Box<dyn Error>> {
    if file.extension().is_none_or(|it| it != "toml") {
        return Ok(None);
    }
    println!("cargo::rerun-if-changed={}", file.display());
    let table: toml::Table = fs::read_to_string(file)?.parse().map_err(|it| format!("{}: {it}", file.display()))?;
    Ok(Some(serde_json::to_string(&table)?))
}

/// glibc can load them since 2.36; asked of the system that builds, which is mostly the one that runs.
fn loader_knows_packed_relocations() -> bool {
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let answer = asked.ok().and_then(|it| String::from_utf8(it.stdout).ok()).unwrap_or_default();
    let version = answer.trim().strip_prefix("glibc 2.").and_then(|it| it.parse::<u32>().ok());
    env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|it| it == "gnu") && version.is_some_and(|it| it >= 36)
}

/// All text files below `folder`; samples of formats are for tests and are not embedded.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            println!("cargo::rerun-if-changed={}", path.display());
            if path.file_name().is_some_and(|name| name != "samples") {
                collect(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}
