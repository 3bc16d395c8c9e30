//! How a person learns that the layers do not fit.

use crate::error::Failure;
use crate::size::Size;

/// What is there and what it would take.
#[derive(Debug)]
pub(super) struct Lack {
    /// Bytes that are left.
    pub(super) left: u64,
    /// Bytes that are wanted.
    pub(super) all: u64,
    /// Layers that are not mounted yet, as far as they were counted.
    pub(super) layers: usize,
    /// What the largest squashfs of them takes.
    pub(super) each: Option<u64>,
    /// For each squashfs.
    pub(super) decompressors: u64,
}

pub(super) fn refusal(lack: &Lack) -> Failure {
    let Lack { left, all, layers, each, decompressors } = lack;
    let mut why = format!("the memory is used up: {} are left", Size(*left));
    why += &match layers {
        0 => format!(", and this layer wants about {}", Size(*all)),
        _ => format!(
            " for {}, and about {} are wanted",
            cli::numbers::count(*layers, "more layer"),
            Size(*all)
        ),
    };
    let several = each.filter(|_| *decompressors > 1);
    if let Some(each) = several {
        why += &format!(
            "; a squashfs takes {} here, because this kernel keeps a decompressor for each of {decompressors} possible processors",
            Size(each)
        );
    }
    let failure = Failure::new(why)
        .try_this("boot a profile with fewer layers, or give the machine more memory")
        .try_this("or make EROFS images, which take about a quarter of a MiB each");
    if several.is_none() {
        return failure;
    }
    failure.try_this("or say how many processors there are: nr_cpus=N on the kernel command line, or a smaller maxcpus= of the virtual machine")
}
