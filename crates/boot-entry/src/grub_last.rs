//! Which entry GRUB has started last: its environment block `grub/last.env`, which GRUB writes in place before it starts a kernel (GRUB manual,
//! "Environment block"). systemd-boot keeps the same in a variable of the firmware.

use crate::grub_tries::GrubTries;

/// The lines of a menu that make it the default. Where that entry is gone, GRUB takes the first.
pub(crate) const LOOK: &str = r#"if [ -f $prefix/last.env ]; then
    load_env --file $prefix/last.env lamina_last
fi
if [ "$lamina_last" != '' ]; then
    set default="$lamina_last"
fi
"#;

/// The lines of an entry; its id stands in quotes already.
pub(crate) fn note(quoted_id: &str) -> String {
    format!("    set lamina_last={quoted_id}\n    save_env --file $prefix/last.env lamina_last\n")
}

/// Whether a menu starts what was started last.
pub fn is_used_by(menu: &[u8]) -> bool {
    menu.windows(LOOK.len()).any(|text| text == LOOK.as_bytes())
}

/// The block before anything was started.
pub fn nothing() -> String {
    GrubTries::block(None)
}
