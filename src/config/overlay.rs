//! The administrator's own files: rules (`catalogue.rules_dir`) and texts (`reply.templates`).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What `catalogue.rules_dir` may hold: rules, and fresh address ranges.
pub const RULES: &[&str] = &[".toml", "cn-ranges.txt"];

/// Every file below `directory` whose name ends in one of `endings`: path below it (with `/`) and
/// text, sorted by path. A directory that does not exist holds none. Hidden files are left out.
pub fn overlay(directory: &Path, endings: &[&str]) -> io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    if directory.exists() {
        collect(directory, directory, endings, &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(root: &Path, folder: &Path, endings: &[&str], files: &mut Vec<(String, String)>) -> io::Result<()> {
    let about = |path: &Path, error: &io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let entries = fs::read_dir(folder).map_err(|error| about(folder, &error))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, endings, files)?;
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(&path).map_err(|error| about(&path, &error))?;
            files.push((path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned(), text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_by_path_and_a_missing_directory_is_empty() {
        let root = tempfile::tempdir().expect("a folder");
        for path in ["b.toml", "a/c.toml", "a/.hidden.toml", "notes.txt"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            fs::write(path, "x").expect("written");
        }
        let found = overlay(root.path(), &[".toml"]).expect("readable");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a/c.toml", "b.toml"]);
        assert!(overlay(Path::new("/does/not/exist"), &[".toml"]).expect("no error").is_empty());
    }
}
