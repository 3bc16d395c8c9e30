//! The kernels that a command names, and how they are told to programs.

use std::path::Path;

use profiles::resolved::KernelPin;
use serde_json::{Value, json};

use crate::command::context::Context;
use crate::disk::contents::DiskGeneration;
use crate::disk::kernel::KernelSource;
use crate::disk::made_files::MadeFile;
use crate::error::{Error, Result};
use crate::fetch::{Console, Fetcher};
use crate::kernel::listed::{self, ListedKernel};
use crate::store::{BuildRecord, KernelRecord, Store};

/// The kernels that can be fetched.
pub(super) fn list(context: &Context) -> Result<Vec<ListedKernel>> {
    // Without a tree, and with one that has no list of its own, the list is that of this program.
    match context.tree().map(|tree| tree.join("kernel-config/kernels.kdl")) {
        Ok(path) if path.exists() => listed::load(&path),
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

/// A path that is there, else a listed kernel, which is fetched when it is not in the cache. Says the name of a listed one.
pub(super) fn source(context: &Context, kernel: &str) -> Result<(KernelSource, Option<String>)> {
    let path = Path::new(kernel);
    if path.exists() {
        return Ok((KernelSource { path: path.to_owned(), digest: None }, None));
    }
    if kernel.contains('/') {
        let remedy =
            "give a kernel package, the folder of an unpacked one, or a name of `lamina kernel list`";
        return Err(Error::new(kernel, "does not exist").remedy(remedy));
    }
    let all = list(context)?;
    let kernel = listed::find(&all, kernel)?;
    let fetcher = Fetcher::of_cache()?;
    let path = fetcher.fetch(&kernel.package, Path::new("."), &Console::new())?;
    Ok((KernelSource { path, digest: Some(kernel.package.sha256) }, Some(kernel.name.clone())))
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
