//! `etc/lamina/modules`: from it init knows what there is, in which order it is loaded, and what asks for it.

use std::collections::BTreeSet;

use initramfs_format::buses;
use initramfs_format::module_list::{Line, Waits};

use crate::kernel_modules::{Picked, Selection};

/// The text of the list.
pub(crate) fn text(release: &str, modules: &Selection) -> String {
    let always = always(&modules.picked);
    let mut list = format!("# Kernel modules of {release}, in the order of loading.\n");
    for module in &modules.picked {
        let file = module.path.as_ref().map(|path| format!("lib/modules/{release}/{path}"));
        let (needs, aliases) = (module.needs.join(","), asking(&module.aliases));
        let waits = file.is_some() && !always.contains(module.name.as_str());
        let waits = waits.then_some(Waits { needs: &needs, aliases: &aliases });
        list += &format!("{}\n", Line { name: &module.name, file: file.as_deref(), waits });
    }
    list
}

/// What `--module` names is loaded whatever there is, and with it all that it needs. What a module needs stands before it.
fn always(picked: &[Picked]) -> BTreeSet<&str> {
    let mut always = BTreeSet::new();
    for module in picked.iter().rev() {
        if module.reason.is_for_every_boot() || always.contains(module.name.as_str()) {
            always.insert(module.name.as_str());
            always.extend(module.needs.iter().map(String::as_str));
        }
    }
    always
}

/// The aliases by which init may ask, sorted, each once.
fn asking(aliases: &[String]) -> String {
    let asked_for = |alias: &&str| {
        (buses::names_a_device(alias) || alias.starts_with("fs-") || alias.starts_with("crypto-"))
            && !alias.contains(char::is_control)
    };
    let aliases: BTreeSet<&str> = aliases.iter().map(String::as_str).filter(asked_for).collect();
    aliases.into_iter().collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_modules::Reason;

    fn module(name: &str, reason: Reason, needs: &[&str], aliases: &[&str]) -> Picked {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let path = Some(format!("kernel/{name}.ko"));
        Picked {
            name: name.to_owned(),
            reason,
            path,
            needs: texts(needs),
            aliases: texts(aliases),
            firmware: Vec::new(),
            bytes: Vec::new(),
        }
    }

    const TABLE: Reason = Reason::Table { symbol: "X", why: "x" };

    #[test]
    fn what_asks_for_a_module_stands_behind_what_it_needs() {
        let picked = vec![
            module("virtio", TABLE, &[], &[]),
            module("virtio_blk", TABLE, &["virtio", "ring"], &["virtio:d00000002v*", "virtio:d00000002v*"]),
            module("sha256", TABLE, &[], &["sha256", "crypto-sha256", "cpu:type:x86*"]),
            module("virtio_mmio", TABLE, &["virtio"], &["acpi*:LNRO0005:*", "of:N*T*Cvirtio,mmio", "fs-x"]),
            Picked { path: None, ..module("ext4", TABLE, &[], &[]) },
        ];
        let expected = "# Kernel modules of 6.1, in the order of loading.\n\
                        virtio\tlib/modules/6.1/kernel/virtio.ko\t\n\
                        virtio_blk\tlib/modules/6.1/kernel/virtio_blk.ko\tvirtio,ring\tvirtio:d00000002v*\n\
                        sha256\tlib/modules/6.1/kernel/sha256.ko\t\tcrypto-sha256\n\
                        virtio_mmio\tlib/modules/6.1/kernel/virtio_mmio.ko\tvirtio\tacpi*:LNRO0005:*\tfs-x\tof:N*T*Cvirtio,mmio\n\
                        ext4\tbuiltin\n";
        assert_eq!(text("6.1", &Selection { picked, ..Selection::default() }), expected);
    }

    #[test]
    fn what_was_asked_for_is_loaded_always_with_what_it_needs() {
        let picked = vec![
            module("deep", TABLE, &[], &[]),
            module("below", Reason::NeededBy { module: "named".into() }, &["deep"], &[]),
            module("named", Reason::AskedFor, &["below"], &["pci:v1"]),
            module("other", TABLE, &["deep"], &[]),
        ];
        let list = text("6.1", &Selection { picked, ..Selection::default() });
        let fields: Vec<usize> = list.lines().skip(1).map(|line| line.split('\t').count()).collect();
        assert_eq!(fields, [2, 2, 2, 3], "{list}");
    }
}
