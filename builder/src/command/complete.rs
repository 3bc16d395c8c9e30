//! What may stand at the cursor of an unfinished command line: the answer to `lamina __complete WORD...`, which the completion scripts
//! ask (`cli::help::Values`). It reads the tree and the store, writes nothing, and what cannot be read is offered by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;

use argh::ArgsInfo;
use cli::help::{Also, Cursor, SHELLS, Values, at_cursor};
use kernel_config::Group;
use package_version::Scheme;
use profiles::Name;
use squashfs::{Image, Kind};

use super::{Lamina, image_name, kernel_named};
use crate::choice::name::VARIANT;
use crate::command::context::Context;
use crate::recipe::{DEBIAN_DESCRIPTION, Recipe};
use crate::store::BuildRecord;
use crate::store::generations;

/// Of more packages than this, descriptions are not read: a recipe takes a millisecond.
const MOST_DESCRIBED: usize = 100;

/// The variants of `packages/linux`.
const FLAVOURS: [(&str, &str); 2] =
    [("vm", "the machines of QEMU"), ("pc", "computers and other hypervisors too")];

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    /// Nothing that can be listed: a number, an address, a name of one's own.
    Unknown,
    File,
    Folder,
    /// A recipe of the tree.
    Package,
    /// A recipe that makes a layer of Debian packages.
    DebianLayer,
    /// A profile of the tree.
    Profile,
    /// The same, or the file of one.
    ProfileOrFile,
    /// A profile of the store.
    LockedProfile,
    PackageOrProfile,
    /// A profile of a medium, or a generation of it.
    Installed,
    /// Of the packages that are named as targets.
    Feature,
    /// Likewise.
    Variant,
    /// A build of the store, or a file.
    Image,
    /// A build of the store.
    Built,
    /// Of the image that is named.
    PathInImage,
    Kernel,
    ImportedKernel,
    /// One of both.
    AnyKernel,
    /// A file, or a group of the table of what kernels need.
    Fragment,
    /// Of a kernel that is made here.
    Flavour,
    Shell,
    /// How versions are read.
    Scheme,
}

/// Answers on standard output.
pub fn complete(words: impl IntoIterator<Item = OsString>) {
    let words: Vec<String> = words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(values) = values(&words) {
        // The shell may have gone on meanwhile.
        let _ = writeln!(std::io::stdout(), "{values}");
    }
}

fn values(words: &[String]) -> Option<Values> {
    let declared = Lamina::get_args_info();
    let cursor = at_cursor(&declared, words)?;
    let argument = argument(&cursor.command, cursor.argument)?;
    let option = |name: &str| cursor.values(name).last().map(str::to_owned);
    let trees = cursor.values("--tree").map(str::to_owned).collect();
    let context = Context::only_reading(option("--store"), trees);
    let also = match argument {
        Argument::File | Argument::ProfileOrFile | Argument::Image | Argument::Fragment => Also::Files,
        Argument::Folder => Also::Folders,
        _ => Also::Nothing,
    };
    let mut words = offered(argument, &context, &cursor);
    let given: BTreeSet<&str> = cursor.values(cursor.argument).collect();
    words.retain(|word, _| word.starts_with(&cursor.typed) && !given.contains(word.as_str()));
    let words = words.into_iter().map(|(word, text)| (format!("{}{word}", cursor.before), text)).collect();
    Some(Values { also, words })
}

/// What an argument of a command is; `None` for one that is not in this list.
fn argument(command: &[&str], argument: &str) -> Option<Argument> {
    Some(match (command.join(" ").as_str(), argument) {
        (_, "--store" | "--tree") => Argument::Folder,
        (_, "--jobs" | "--level" | "--block-size" | "--time" | "--attributes") => Argument::Unknown,
        (_, "--timeout" | "--silence" | "--memory" | "--processes" | "--tmpfs") => Argument::Unknown,
        (_, "--by" | "a" | "b" | "version" | "constraint") => Argument::Unknown,
        (_, "--scheme") => Argument::Scheme,
        (_, "--output" | "--key" | "--public-key") => Argument::File,
        ("bootstrap lock", "recipe") => Argument::DebianLayer,
        ("completions", "shell") => Argument::Shell,
        ("image cat", "path") => Argument::PathInImage,
        ("image cat" | "image inspect" | "image protect" | "image verify", "image") => Argument::Image,
        ("image create" | "medium create" | "man", "dir") => Argument::Folder,
        ("disk create" | "vm", "--kernel") => Argument::AnyKernel,
        ("disk create", "--profile" | "--rescue") | ("kernel check", "--profile") => Argument::LockedProfile,
        ("disk create", "out" | "--init" | "--initramfs") | ("disk inspect", "image") => Argument::File,
        ("disk create", _) => Argument::Unknown,
        ("vm", "profile") => Argument::LockedProfile,
        ("vm", "--disk" | "--usb" | "--state" | "--init" | "--initramfs") => Argument::File,
        ("vm", "--test" | "--junit" | "--report" | "--log" | "--screenshot") => Argument::File,
        ("vm", "--share") => Argument::Folder,
        ("vm", _) => Argument::Unknown,
        ("image verify", "--root-hash") | ("profile lock", "--replace") | ("medium create", "--keep") => {
            Argument::Unknown
        }
        ("kernel check", "kernel")
        | ("key create" | "report" | "tool version sort", "file")
        | ("why", "path") => Argument::File,
        ("kernel fetch", "name") | ("kernel import", "kernel") => Argument::Kernel,
        ("kernel build", "--fragment") => Argument::Fragment,
        ("kernel build", "--flavour") => Argument::Flavour,
        ("kernel remove", "name") => Argument::ImportedKernel,
        ("medium create", "--profile") | ("profile sign" | "profile verify", "name") => {
            Argument::LockedProfile
        }
        ("profile check", "profile") => Argument::ProfileOrFile,
        ("profile lock", "name") => Argument::Profile,
        ("kernel build" | "kernel import" | "source pin", "--name") => Argument::Unknown,
        ("store list", "--why") => Argument::File,
        ("store gc", "--keep" | "--grace") => Argument::Unknown,
        (command, argument) => match command.strip_prefix("system ") {
            Some(command) => return argument_of_system(command, argument),
            None => return of_packages(command, argument),
        },
    })
}

/// The same of the commands of `system`, by their last words.
fn argument_of_system(command: &str, argument: &str) -> Option<Argument> {
    Some(match (command, argument) {
        ("install", "--kernel" | "--initramfs" | "--init") => Argument::File,
        ("install", "profile") => Argument::LockedProfile,
        ("update", "profile") => Argument::Profile,
        ("install" | "gc" | "update", "--keep" | "--option") => Argument::Unknown,
        ("default" | "keep", "generation") | ("diff", "before" | "after") | ("rollback", "profile") => {
            Argument::Installed
        }
        (
            "list" | "update" | "diff" | "gc" | "install" | "rollback" | "default" | "keep" | "copy",
            "--medium" | "--esp",
        ) => Argument::Folder,
        (
            "list" | "update" | "diff" | "gc" | "install" | "rollback" | "default" | "keep" | "copy",
            "--disk",
        )
        | ("copy", "out") => Argument::File,
        ("copy", _) => Argument::Unknown,
        _ => return None,
    })
}

/// The same for what is about recipes.
fn of_packages(command: &str, argument: &str) -> Option<Argument> {
    Some(match (command, argument) {
        ("build" | "fetch", "target") => Argument::PackageOrProfile,
        ("build", "--with" | "--without") => Argument::Feature,
        ("build", "--variant") => Argument::Variant,
        ("explain" | "info" | "deps", "package") => Argument::Package,
        ("explain", "--in") | ("rebuild-needed", "target") => Argument::PackageOrProfile,
        ("explain", "--against") | ("built-with", "package") => Argument::Built,
        ("source pin", "url-or-file") => Argument::File,
        ("source pin", "--write") | ("recipe pin", "package") => Argument::Package,
        _ => return None,
    })
}

/// The words for an argument, each with a description; those that do not fit what is typed may be among them.
fn offered(argument: Argument, context: &Context, cursor: &Cursor<'_>) -> BTreeMap<String, String> {
    let typed = cursor.typed.as_str();
    match argument {
        Argument::Unknown | Argument::File | Argument::Folder => BTreeMap::new(),
        Argument::Package => packages(context, typed),
        Argument::DebianLayer => {
            let Ok(recipes) = context.recipes() else { return BTreeMap::new() };
            let is_layer = |name: &String| {
                let folder = Name::parse(name).ok().and_then(|name| recipes.folder_of(&name).ok());
                folder.is_some_and(|folder| folder.join(DEBIAN_DESCRIPTION).exists())
            };
            packages(context, typed).into_iter().filter(|(name, _)| is_layer(name)).collect()
        }
        Argument::Profile | Argument::ProfileOrFile => profiles(context),
        Argument::LockedProfile => locked_profiles(context),
        Argument::Installed => super::on_medium::complete(cursor),
        // A name that is both is a package first.
        Argument::PackageOrProfile => {
            let mut all = profiles(context);
            all.extend(packages(context, typed));
            all
        }
        Argument::Feature => {
            let features = recipes(context, cursor).into_iter().flat_map(|recipe| recipe.features);
            let described = features.filter(|it| it.name != VARIANT).map(|it| {
                let text = format!("{} (default: {})", it.description.unwrap_or_default(), it.default);
                (it.name, text.trim_start().to_owned())
            });
            described.collect()
        }
        Argument::Variant => {
            let features = recipes(context, cursor).into_iter().flat_map(|recipe| recipe.features);
            let variants = features.filter(|it| it.name == VARIANT).flat_map(|it| it.values);
            variants.map(|it| (it.name.to_string(), String::new())).collect()
        }
        Argument::Image | Argument::Built => images(context),
        Argument::PathInImage => {
            let image = cursor.values("image").next().unwrap_or_default();
            paths(context, image, typed).unwrap_or_default()
        }
        Argument::Kernel => listed_kernels(context),
        Argument::ImportedKernel => imported_kernels(context),
        Argument::AnyKernel => {
            let mut all = imported_kernels(context);
            all.extend(listed_kernels(context));
            all
        }
        Argument::Fragment => {
            Group::ALL.map(|group| (group.name().to_owned(), group.purpose().to_owned())).into()
        }
        Argument::Flavour => FLAVOURS.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        Argument::Scheme => {
            Scheme::ALL.map(|scheme| (scheme.name().to_owned(), scheme.description().to_owned())).into()
        }
        Argument::Shell => SHELLS.map(|shell| (shell.to_owned(), String::new())).into(),
    }
}

fn listed_kernels(context: &Context) -> BTreeMap<String, String> {
    let kernels = kernel_named::list(context).unwrap_or_default();
    kernels.into_iter().map(|kernel| (kernel.name, kernel.release)).collect()
}

fn imported_kernels(context: &Context) -> BTreeMap<String, String> {
    let Ok(store) = context.store() else { return BTreeMap::new() };
    // One whose record is damaged can be removed too.
    let release = |name| Some(store.kernel(name).ok()??.pin.release.to_string());
    let names = store.kernel_names().unwrap_or_default();
    names.iter().map(|name| (name.to_string(), release(name).unwrap_or_default())).collect()
}

/// The packages of the tree, with what each is, when there are not too many.
fn packages(context: &Context, typed: &str) -> BTreeMap<String, String> {
    let Ok(recipes) = context.recipes() else { return BTreeMap::new() };
    let mut names = recipes.names().unwrap_or_default();
    // Somebody else may have made the tree: a folder can have any name, and a package cannot.
    names.retain(|name| name.starts_with(typed) && Name::parse(name).is_ok());
    let describe = names.len() <= MOST_DESCRIBED;
    let description = |name: &str| -> Option<String> {
        let recipe = describe.then(|| recipes.load(&Name::parse(name).ok()?).ok()).flatten()?;
        Some(format!("{} {}", recipe.version, recipe.description))
    };
    names.iter().map(|name| (name.clone(), description(name).unwrap_or_default())).collect()
}

fn profiles(context: &Context) -> BTreeMap<String, String> {
    let Ok(profiles) = context.profiles() else { return BTreeMap::new() };
    let description = |name: &str| profiles.compose(&Name::parse(name).ok()?).ok()?.description;
    let names = profiles.names().unwrap_or_default().into_iter().filter(|name| Name::parse(name).is_ok());
    names.map(|name| (name.clone(), description(&name).unwrap_or("a profile".to_owned()))).collect()
}

/// The profiles of the store, with their newest generations.
fn locked_profiles(context: &Context) -> BTreeMap<String, String> {
    let Ok(store) = context.store() else { return BTreeMap::new() };
    let newest = |name: Name| {
        let (number, _) = generations::newest_in(store.root(), &name).ok()??;
        Some((name.to_string(), format!("generation {number}")))
    };
    generations::locked_names(&store).unwrap_or_default().into_iter().filter_map(newest).collect()
}

/// The recipes of the targets, or of the whole tree when none is named yet.
fn recipes(context: &Context, cursor: &Cursor<'_>) -> Vec<Recipe> {
    let Ok(recipes) = context.recipes() else { return Vec::new() };
    let mut names: Vec<String> = cursor.values("target").map(str::to_owned).collect();
    if names.is_empty() {
        names = recipes.names().unwrap_or_default();
    }
    names.iter().filter_map(|name| recipes.load(&Name::parse(name).ok()?).ok()).collect()
}

/// The packages that the store has; of one with several builds also each of them, as `NAME@ID`.
fn images(context: &Context) -> BTreeMap<String, String> {
    let records = context.store().and_then(|store| store.records());
    let records = records.map(|records| records.sound).unwrap_or_default();
    let mut builds: BTreeMap<&str, Vec<&BuildRecord>> = BTreeMap::new();
    for record in &records {
        builds.entry(record.name.as_str()).or_default().push(record);
    }
    let described = |record: &BuildRecord| format!("{}{}", record.version, record.choices());
    let mut words = BTreeMap::new();
    for (name, builds) in builds {
        match builds.as_slice() {
            [only] => {
                words.insert(name.to_owned(), described(only));
            }
            several => {
                words.insert(name.to_owned(), format!("{} builds", several.len()));
                words.extend(several.iter().map(|build| (image_name::by_id(build), described(build))));
            }
        }
    }
    words
}

/// What the image has in the folder that is typed so far; folders end in a slash.
fn paths(context: &Context, image: &str, typed: &str) -> Option<BTreeMap<String, String>> {
    let image = Image::open(&image_name::find(context, image).ok()?.path()).ok()?;
    let slash = if typed.starts_with('/') { "/" } else { "" };
    let inside = typed.trim_start_matches('/');
    let folder = inside.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut words = BTreeMap::new();
    for item in image.walk() {
        let item = item.ok()?;
        let Ok(path) = String::from_utf8(item.path) else { continue };
        let here =
            path.strip_prefix(folder.as_str()).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
        if here {
            let end = if item.kind == Kind::Directory { "/" } else { "" };
            words.insert(format!("{slash}{path}{end}"), String::new());
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use argh::{CommandInfoWithArgs, FlagInfoKind};

    use super::*;

    /// Every command without further commands: its words, and the names of what it takes a value for.
    fn arguments(command: &CommandInfoWithArgs, path: &[&str], all: &mut Vec<(Vec<String>, String)>) {
        let options = command.flags.iter().filter(|flag| matches!(flag.kind, FlagInfoKind::Option { .. }));
        let names = options.map(|flag| flag.long).chain(command.positionals.iter().map(|it| it.name));
        let words: Vec<String> = path.iter().map(|word| (*word).to_owned()).collect();
        all.extend(names.map(|name| (words.clone(), name.to_owned())));
        for below in &command.commands {
            arguments(&below.command, &[path, &[below.name]].concat(), all);
        }
    }

    #[test]
    fn every_argument_of_every_command_is_known_here() {
        let mut all = Vec::new();
        arguments(&Lamina::get_args_info(), &[], &mut all);
        assert!(all.len() > 40, "{all:?}");
        for (command, name) in all {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            assert!(argument(&words, &name).is_some(), "{name} of `lamina {}`", words.join(" "));
        }
    }
}
