//! Writes the fragments of the recipe `packages/linux` from the table.

use std::path::Path;

use kernel_config::{Group, fragment, place};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/linux");
    std::fs::create_dir_all(folder.join("fragments/machines"))?;
    for group in Group::ALL {
        std::fs::write(folder.join(place(group)), fragment(group))?;
    }
    Ok(())
}
