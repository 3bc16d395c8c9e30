//! The commands besides making an initramfs, and what each takes.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

/// What it does besides making an initramfs.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
pub enum Other {
    Completions(Completions),
    Diff(Diff),
    List(List),
    Man(Man),
    Why(Why),
}

/// List what is in an initramfs, whoever made it: newc archives one behind the other, each plain or compressed with gzip, bzip2,
/// lzma, xz, lz4 or zstd.
#[derive(FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "list",
    example = "mkinitramfs list out/initramfs.img\nmkinitramfs list /boot/initrd.img-6.1.0-50-amd64 --json"
)]
pub struct List {
    /// the initramfs
    #[argh(positional)]
    pub file: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// Say what distinguishes two initramfs when they are unpacked: paths, modes, owners, sizes, targets of links, devices, contents.
/// Order, times and compression do not count, of kernel modules neither.
#[derive(FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "diff",
    example = "mkinitramfs diff old.img new.img\nmkinitramfs diff /boot/initrd.img-6.1.0-50-amd64 out/initramfs.img --json",
    error_code(0, "The two have the same in them."),
    error_code(1, "They differ; standard output says where."),
    error_code(2, "The command line was not understood, or one of them cannot be read.")
)]
pub struct Diff {
    /// one initramfs
    #[argh(positional)]
    pub first: PathBuf,
    /// the other one
    #[argh(positional)]
    pub second: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// Say what asks for a kernel module in an initramfs that mkinitramfs made: patterns of devices, file systems, groups, other modules.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "why", example = "mkinitramfs why dm_mod out/initramfs.img")]
pub struct Why {
    /// the name of the module, as in lsmod
    #[argh(positional)]
    pub module: String,
    /// the initramfs
    #[argh(positional)]
    pub file: PathBuf,
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// Write a completion script for a shell to standard output.
#[derive(FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "completions",
    example = "mkinitramfs completions bash > ~/.local/share/bash-completion/completions/mkinitramfs"
)]
pub struct Completions {
    /// bash, zsh or fish
    #[argh(positional)]
    pub shell: String,
}

/// Write manual pages: mkinitramfs.1, mkinitramfs-list.1 and so on.
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "man", example = "mkinitramfs man ~/.local/share/man/man1 && man mkinitramfs")]
pub struct Man {
    /// the folder to write to; made when missing
    #[argh(positional)]
    pub dir: PathBuf,
}
