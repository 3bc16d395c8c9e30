//! Config fragments: pieces of `.config` that `scripts/kconfig/merge_config.sh` of the kernel's sources joins.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::table::{Form, Group, Need, REQUIREMENTS};

/// Where the fragment of a group lies below the recipe of the kernel, `packages/linux`. Those of some machines lie apart: nobody wants all
/// of them in one kernel.
pub fn place(group: Group) -> String {
    let folder = if group.is_of_some_machines() { "fragments/machines" } else { "fragments" };
    format!("{folder}/{}.config", group.name())
}

/// The fragment of a group, as it stands in [`place`]. Everything is built in: such a kernel needs no modules.
pub fn fragment(group: Group) -> String {
    let mut text = format!(
        "# {}: {}.\n# Made from the table in kernel-config/src/table.rs: cargo run -p kernel-config --example fragments\n",
        group.name(),
        group.purpose()
    );
    let mut written = BTreeSet::new();
    for row in REQUIREMENTS.iter().filter(|row| row.group == group) {
        let need = if row.need == Need::Required { "" } else { " (optional)" };
        let module = match row.form {
            Form::BuiltIn => String::new(),
            Form::Module(name) => format!(" [module {name}]"),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {}{need}{module}\n", row.why);
        for symbol in row.below.iter().chain([&row.symbol]) {
            if written.insert(*symbol) {
                let _ = writeln!(text, "CONFIG_{symbol}=y");
            }
        }
    }
    text
}
