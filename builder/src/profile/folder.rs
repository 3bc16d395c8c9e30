//! The folder of written profiles, `profiles/`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use profiles::written::{self, Composition};
use profiles::{Diagnostics, Name, suggest};

use crate::error::{AtSpan, Error, Result};
use crate::recipe::NONE_HERE;
use crate::text_file;

/// The folder of written profiles, `profiles/`, or those of several trees: a profile of a higher one stands in place of those below.
#[derive(Debug, Clone)]
pub struct ProfileFolder {
    /// The highest first; never empty.
    paths: Vec<PathBuf>,
}

impl ProfileFolder {
    /// The profiles in `path`; nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        ProfileFolder { paths: vec![path] }
    }

    /// The same with those of a tree below.
    #[must_use]
    pub fn over(mut self, path: PathBuf) -> Self {
        self.paths.push(path);
        self
    }

    /// The folder that has the profile of this name; the highest, where none has.
    fn having(&self, name: &Name) -> &Path {
        let has = |path: &&PathBuf| fs::symlink_metadata(path.join(format!("{name}.kdl"))).is_ok();
        self.paths.iter().find(has).or(self.paths.first()).map_or(Path::new("."), PathBuf::as_path)
    }

    fn file(&self, name: &Name) -> PathBuf {
        self.having(name).join(format!("{name}.kdl"))
    }

    /// Whether there is a profile of this name.
    pub fn has(&self, name: &Name) -> bool {
        fs::symlink_metadata(self.file(name)).is_ok()
    }

    /// The names of all profiles, sorted; of a tree without the folder, none.
    ///
    /// # Errors
    /// The folder cannot be read: nobody knows then what its profiles need.
    pub fn names(&self) -> Result<Vec<String>> {
        let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".kdl").map(str::to_owned);
        let read = |path: &Path| -> io::Result<Vec<String>> {
            let entries: Vec<fs::DirEntry> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
            Ok(entries.into_iter().filter_map(name).collect())
        };
        let mut names = BTreeSet::new();
        for path in &self.paths {
            match read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => names.extend(found.map_err(Error::on(path.display()))?),
            }
        }
        Ok(names.into_iter().collect())
    }

    /// All profiles, each joined with its includes.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn compositions(&self) -> Result<Vec<Composition>> {
        let names = self.names()?;
        names.iter().map(|name| self.compose(&Name::parse(name).map_err(Error::on(name))?)).collect()
    }

    /// The profile of this name, joined with its includes.
    pub fn compose(&self, name: &Name) -> Result<Composition> {
        if !self.has(name) {
            let names = self.names().unwrap_or_default();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(Error::new(
                format!("profile {name}"),
                format!("there is no {}", self.file(name).display()),
            )
            .remedy(suggest::remedy_or(name.as_str(), &names, NONE_HERE)));
        }
        let profile = parse(&self.file(name), text_file::read_below(self.having(name), &self.file(name)))?;
        if profile.name != *name {
            let cause = format!("the profile is called '{}', its file '{name}.kdl'", profile.name);
            return Err(Error::caused("", profile.span.error(cause, "give both the same name")));
        }
        self.join(&profile)
    }

    /// The profile in `file`, joined with its includes from this folder.
    pub fn compose_file(&self, file: &Path) -> Result<Composition> {
        self.join(&parse(file, text_file::read(file))?)
    }

    fn join(&self, profile: &written::Profile) -> Result<Composition> {
        let joined = written::compose(profile, |mention| {
            let path = self.file(&mention.name);
            match text_file::read_below(self.having(&mention.name), &path) {
                Ok(bytes) => written::Profile::parse(&path.display().to_string(), &bytes),
                Err(error) if self.has(&mention.name) => {
                    Err(Diagnostics::from(error.diagnostic(&mention.span)))
                }
                Err(_) => {
                    let message = format!("there is no profile '{}' ({})", mention.name, path.display());
                    let names = self.names().unwrap_or_default();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let help = suggest::remedy_or(mention.name.as_str(), &names, NONE_HERE);
                    Err(Diagnostics::from(mention.span.error(message, help)))
                }
            }
        });
        joined.map_err(Error::on(""))
    }
}

fn parse(file: &Path, bytes: Result<Vec<u8>>) -> Result<written::Profile> {
    written::Profile::parse(&file.display().to_string(), &bytes?).map_err(Error::on(""))
}
