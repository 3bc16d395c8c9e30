//! Init is a program, and nothing can import a program. The targets that need its modules compile them themselves: this copies
//! init's sources beside a list of `mod` items, made from the list in its `main.rs`, so that a new module needs no change here.

use std::path::Path;
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sources = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../init/src").canonicalize()?;
    println!("cargo::rerun-if-changed={}", sources.display());
    let target = Path::new(&env::var("OUT_DIR")?).join("init");
    // A file `mod.rs`, so that the modules are looked for beside it. A copy, and not `#[path]`: that would look for the modules of a module beside it.
    copy(&sources, &target)?;
    let main = fs::read_to_string(sources.join("main.rs"))?;
    let (mut modules, mut attribute) = (String::new(), "");
    for line in main.lines() {
        if line.starts_with("mod ") && line.ends_with(';') && attribute != "#[cfg(test)]" {
            modules += &format!("{line}\n");
        }
        attribute = line.trim();
    }
    fs::write(target.join("mod.rs"), modules)?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = (entry?, to.join("x"));
        let target = target.with_file_name(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}
