//! The kernels that a command names, and how they are told to programs.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use profiles::resolved::KernelPin;
use profiles::{Digest, Name, suggest};
use serde_json::{Value, json};
use squashfs::UnpackOptions;

use crate::command::context::Context;
use crate::disk::contents::DiskGeneration;
use crate::disk::kernel::KernelSource;
use crate::disk::made_files::MadeFile;
use crate::error::{Error, Result};
use crate::fetch::{Console, Fetcher};
use crate::kernel::listed::{self, ListedKernel};
use crate::scratch::temporary::TemporaryFolder;
use crate::store::{BuildRecord, KernelRecord, Store};

/// The kernels that can be fetched.
pub(super) fn list(context: &Context) -> Result<Vec<ListedKernel>> {
    // Without a tree, and with one that has no list of its own, the list is that of this program.
    match context.in_trees("kernel-config/kernels.kdl") {
        Ok(Some(path)) => listed::load(&path),
        Err(error) if context.names_a_tree() => Err(error),
        _ => listed::built_in(),
    }
}

/// All these profiles name kernels, and `--kernel` another one: its bytes are those of none.
pub(super) fn refuse_other<'a>(
    named: &str,
    (release, linux): &(String, MadeFile),
    chosen: impl Iterator<Item = &'a DiskGeneration>,
) -> Result<()> {
    let pins: Vec<_> = chosen.filter_map(|it| Some((&it.profile, it.contents.kernel.as_ref()?))).collect();
    match pins.first() {
        Some((profile, pin)) if pins.iter().all(|(_, pin)| pin.digest != linux.digest) => {
            let cause =
                format!("is {release}, and the profile {profile} is for {} ({})", pin.release, pin.name);
            Err(Error::new(format!("--kernel {named}"), cause).remedy(
                "leave --kernel out: it is for profiles that name no kernel; or take `kernel` out of the profile",
            ))
        }
        _ => Ok(()),
    }
}

/// A kernel of the store, put together as the folder of an unpacked package.
fn imported(context: &Context, name: &str) -> Result<Option<KernelSource>> {
    let Ok(name) = Name::parse(name) else { return Ok(None) };
    let store = context.store()?;
    let Some(record) = store.kernel(&name)? else { return Ok(None) };
    let linux = store.require_kernel(&record.pin)?;
    let modules = store.modules_of(&record)?;
    let folder = TemporaryFolder::make("kernel")?;
    let root = folder.path().join("root");
    let image = store.open_image(&modules.digest, modules.verity.as_ref())?;
    image.image().unpack(&root, &UnpackOptions::user()).map_err(Error::on(root.display()))?;
    let place = root.join("boot").join(format!("vmlinuz-{}", record.pin.release));
    let put = fs::create_dir(root.join("boot")).and_then(|()| fs::copy(&linux, &place));
    put.map_err(Error::on(place.display()))?;
    let digest = Digest::of_bytes(format!("{} {}", record.pin.digest, modules.digest));
    Ok(Some(KernelSource { path: root, digest: Some(digest), scratch: Some(Rc::new(folder)) }))
}

/// A path that is there, else a listed kernel, which is fetched when it is not in the cache, else one of the store. Says the name of a listed one.
pub(super) fn source(context: &Context, kernel: &str) -> Result<(KernelSource, Option<String>)> {
    let path = Path::new(kernel);
    if path.exists() {
        return Ok((KernelSource::at(path.to_owned(), None), None));
    }
    if kernel.contains('/') {
        let remedy =
            "give a kernel package, the folder of an unpacked one, or a name of `lamina kernel list`";
        return Err(Error::new(kernel, "does not exist").remedy(remedy));
    }
    let all = list(context)?;
    let kernel = match listed::find(&all, kernel) {
        Ok(kernel) => kernel,
        Err(error) => {
            return match imported(context, kernel)? {
                Some(own) => Ok((own, None)),
                None => Err(error.remedy(known_names(context, &all, kernel)?)),
            };
        }
    };
    let fetcher = Fetcher::of_cache()?;
    let path = fetcher.fetch(&kernel.package, Path::new("."), &Console::new())?;
    Ok((KernelSource::at(path, Some(kernel.package.sha256)), Some(kernel.name.clone())))
}

/// What else could be meant: the kernels that can be fetched, and those of the store.
fn known_names(context: &Context, listed: &[ListedKernel], kernel: &str) -> Result<String> {
    let imported: Vec<KernelRecord> = context.store()?.kernels()?.into_iter().flatten().collect();
    let listed = listed.iter().map(|it| it.name.as_str());
    let names: Vec<&str> = listed.chain(imported.iter().map(|it| it.pin.name.as_str())).collect();
    let near = suggest::remedy(kernel, &names);
    Ok(format!("{near} (`lamina kernel list`); or give a kernel package, or the folder of an unpacked one"))
}

/// The kernel that a profile is for, for programs.
pub(super) fn pin_json(pin: &KernelPin) -> Value {
    json!({
        "name": pin.name.as_str(), "release": pin.release.as_str(), "digest": pin.digest.to_string(), "size": pin.size,
    })
}

/// An imported kernel, for programs.
pub(super) fn as_json(store: &Store, record: &KernelRecord) -> Value {
    let image = |it: BuildRecord| json!({ "name": it.name.as_str(), "digest": it.digest.to_string(), "size": it.size });
    let mut kernel = pin_json(&record.pin);
    kernel["imported"] = json!(true);
    kernel["modules"] = json!(store.modules_of(record).ok().map(image));
    kernel
}
