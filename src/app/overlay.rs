//! Reads the administrator's own rules and texts from disk; what they say is for others to check.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::engine::StartError;

/// The files of one directory with this ending, as (path, text), sorted; a missing directory is empty.
pub(super) fn files(directory: &Path, ending: &str) -> Result<Vec<(String, String)>, StartError> {
    let mut found = Vec::new();
    match list(directory) {
        Ok(paths) => {
            for path in paths.into_iter().filter(|it| it.is_file() && it.extension().is_some_and(|it| it == ending)) {
                found.push((path.display().to_string(), read(&path)?));
            }
            Ok(found)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(found),
        Err(source) => Err(StartError::Directory { path: directory.to_owned(), source }),
    }
}

/// All files below a directory, as (path below it, text), sorted.
pub(super) fn tree(directory: &Path) -> Result<Vec<(String, String)>, StartError> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(folder) = open.pop() {
        let paths = list(&folder).map_err(|source| StartError::Directory { path: folder.clone(), source })?;
        for path in paths {
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.push((name, read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?.map(|entry| entry.map(|it| it.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, StartError> {
    fs::read_to_string(path).map_err(|source| StartError::Directory { path: path.to_owned(), source })
}
