//! `lamina system install`.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use boot_entry::Parameter;
use profiles::Name;

use super::at_most_one;
use super::on_medium::{Bringing, Doing, KEPT, Where, access, target};
use crate::command::context::Context;
use crate::command::profile_named;
use crate::disk::kernel::{InitramfsSource, KernelSource, boot_files};
use crate::disk::made_files::MadeFiles;
use crate::error::{Error, Result};

/// Put the newest generations of profiles onto a medium, with entries in its menu; the first one boots by itself from then on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "install",
    example = "lamina system install web --medium /mnt/store --esp /mnt/esp --dry-run",
    note = "Images that are there are read and put there again when they are damaged; only the others are copied. Every entry binds its \
profile by digest, and with it the last good generation and the rescue.",
    note = "A profile that names a kernel starts with that; its initramfs is the one that the medium has for this kernel, or is made. Otherwise \
kernel, initramfs and parameters are those of the profile's newest entry, or of the entry that boots by itself. Of the profiles \
named, older generations go, but for the last good one, what is being tried, what runs, and what `lamina system keep` has marked.",
    note = "A command that was killed, or a power cut, leaves a medium that boots; the same command goes on from there."
)]
pub(super) struct Install {
    /// a profile that was locked; may be given several times
    #[argh(positional, arg_name = "profile")]
    profile: Vec<String>,
    /// how many generations of each of these profiles stay, the newest ones (default: 3)
    #[argh(option, arg_name = "n", default = "KEPT")]
    keep: NonZero<usize>,
    /// a kernel package, or the folder of an unpacked one, that the new generations start with; needs --initramfs
    #[argh(option, arg_name = "file")]
    kernel: Option<PathBuf>,
    /// the initramfs for this kernel, as `mkinitramfs` makes it
    #[argh(option, arg_name = "file")]
    initramfs: Option<PathBuf>,
    /// the static program for a new initramfs, for profiles that name their kernel (default: what the medium has for this kernel; else that of
    /// this installation)
    #[argh(option, arg_name = "file")]
    init: Option<PathBuf>,
    /// a further kernel parameter for entries that are new, without quotes; may be given several times
    #[argh(option, arg_name = "parameter")]
    option: Vec<String>,
    /// the medium: where the partition of the store is mounted (default: that of the running system)
    #[argh(option, arg_name = "dir")]
    medium: Option<PathBuf>,
    /// where its EFI system partition is mounted
    #[argh(option, arg_name = "dir")]
    esp: Option<PathBuf>,
    /// the image or the device of its disk, in place of both; changing it takes root
    #[argh(option, arg_name = "file")]
    disk: Option<PathBuf>,
    /// print what would be done, and do nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Install {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        if self.profile.is_empty() {
            return Err(
                Error::new("system", "no profile is named").remedy("give the name of a locked profile")
            );
        }
        let mut names: Vec<Name> = Vec::new();
        for text in &self.profile {
            let name = profile_named::name(text)?;
            names.extend((!names.contains(&name)).then_some(name));
        }
        let parameter =
            |text: &String| Parameter::for_all_entries(text).map_err(Error::on(format!("--option '{text}'")));
        let parameters = self.option.iter().map(parameter).collect::<Result<Vec<_>>>()?;
        at_most_one(&[("--init", self.init.is_some()), ("--initramfs", self.initramfs.is_some())])?;
        let target =
            target(Where::of(&self.medium, &self.esp, &self.disk), access(self.dry_run), &context.report)?;
        let kernel = match (&self.kernel, &self.initramfs) {
            (Some(kernel), Some(initramfs)) => {
                let source = KernelSource::at(kernel.clone(), None);
                let initramfs = InitramfsSource::File(initramfs.clone());
                Some(boot_files(&source, &initramfs, &MadeFiles::of_this_user(&context.report))?)
            }
            (None, None) => None,
            (kernel, _) => {
                let (given, missing) =
                    if kernel.is_some() { ("--kernel", "--initramfs") } else { ("--initramfs", "--kernel") };
                return Err(Error::new(given, format!("is of no use without {missing}"))
                    .remedy("give both: an initramfs has the modules of one kernel"));
            }
        };
        let doing = Doing { dry_run: self.dry_run, json: self.json, reasons: false };
        Bringing { names, keep: self.keep, kernel, init: self.init, parameters, first_boots: true }
            .run(context, target, &doing)
    }
}
