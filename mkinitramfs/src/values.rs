//! The values of options, from words to what they mean.

use std::path::PathBuf;

use kernel_config::Group;
use mkinitramfs::{AllowedProfile, FileSystemMaker, Task as Use};
use profiles::{Name, StateFileSystem, suggest};

pub fn named_group(word: &str) -> Result<Group, String> {
    let with_modules = || Group::ALL.into_iter().filter(|group| !group.is_of_own_kernels());
    let names: Vec<&str> = with_modules().map(Group::name).collect();
    let found = with_modules().find(|group| group.name() == word);
    found.ok_or_else(|| format!("there is no group of modules '{word}': {}", suggest::remedy(word, &names)))
}

pub fn state_file_system(word: &str) -> Result<StateFileSystem, String> {
    StateFileSystem::parse(word).map_err(|_| {
        let known: Vec<&str> = StateFileSystem::all().map(StateFileSystem::driver).collect();
        let remedy = suggest::remedy(word, &known);
        format!("changes cannot be kept on '{}': {remedy}", word.escape_debug())
    })
}

pub fn file_system_maker(word: &str) -> Result<FileSystemMaker, String> {
    file_system_program(word, Use::Make)
}

pub fn file_system_checker(word: &str) -> Result<FileSystemMaker, String> {
    file_system_program(word, Use::Check)
}

fn file_system_program(word: &str, task: Use) -> Result<FileSystemMaker, String> {
    let (kind, program) = match word.split_once('=') {
        Some((_, "")) => return Err(format!("'{}' names no file after the =", word.escape_debug())),
        Some((kind, program)) => (kind, Some(PathBuf::from(program))),
        None => (word, None),
    };
    Ok(FileSystemMaker { task, kind: state_file_system(kind)?, program })
}

pub fn allowed_profile(word: &str) -> Result<AllowedProfile, String> {
    word.parse()
}

pub fn profile(word: &str) -> Result<Name, String> {
    Name::parse(word).map_err(|error| format!("'{}': {error}", word.escape_debug()))
}
