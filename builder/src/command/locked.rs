//! A locked profile: put into the store, told to people and to programs.

use cli::numbers::count;
use profiles::resolved::ImageRef;
use serde_json::json;

use crate::command::context::Context;
use crate::error::Result;
use crate::linking::Finding;
use crate::profile::lock::{self, Locked};
use crate::profile::system_image::SettingLine;
use crate::stacking::{Hiding, Shadow};
use crate::store::Store;
use crate::store::generations;

/// Says what a profile sets of the machine itself.
pub(super) fn tell_settings(context: &Context, locked: &Locked) {
    let Some(system) = &locked.system else { return };
    for line in &system.lines {
        context.report.line(format_args!("profile {} sets {line}", locked.profile.name));
    }
    if let Some(warning) = system.warning() {
        context.report.line(format_args!("warning: profile {}: {warning}", locked.profile.name));
    }
}

/// Puts a locked profile into the store and says what was seen. Returns its generation, and whether that is new.
pub(super) fn publish(context: &Context, store: &Store, locked: &Locked) -> Result<(u64, bool)> {
    for mended in &locked.mended {
        context.report.line(format_args!("warning: {mended}"));
    }
    for shadow in &locked.shadowed {
        context.report.line(format_args!("{shadow}, as allowed"));
    }
    for path in &locked.idle_overrides {
        context.report.line(format_args!(
            "profile {}: override \"{path}\" allows what does not happen",
            locked.profile.name
        ));
    }
    for finding in &locked.unresolved {
        context.report.line(format_args!("{finding}, as allowed"));
    }
    for library in &locked.idle_unresolved {
        let name = &locked.profile.name;
        context
            .report
            .line(format_args!("profile {name}: unresolved \"{library}\" allows what does not happen"));
    }
    tell_settings(context, locked);
    locked.publish_images(store)?;
    let (generation, new) = generations::publish(store, &locked.profile)?;
    let (name, layers) = (&locked.profile.name, count(locked.profile.images.len(), "layer"));
    let state = if new { "locked as" } else { "is unchanged," };
    let optional = match locked.profile.optional.len() {
        0 => String::new(),
        count => format!(", {count} optional"),
    };
    let kernel = locked.profile.kernel.as_ref();
    let kernel = kernel.map_or_else(String::new, |pin| format!(", kernel {} ({})", pin.name, pin.release));
    context
        .report
        .line(format_args!("profile {name} {state} generation {generation}: {layers}{optional}{kernel}"));
    Ok((generation, new))
}

/// A locked profile, with its generation and whether that is new when it was put into the store.
pub(super) fn as_json(locked: &Locked, published: Option<(u64, bool)>) -> serde_json::Value {
    let Locked { profile, shadowed, idle_overrides, idle_unresolved, mended, system, .. } = locked;
    let image = |image: &ImageRef| {
        json!({
            "name": image.name.as_str(), "version": image.version, "id": image.id.map(|id| id.hex()),
            "digest": image.digest.to_string(), "size": image.size,
            "root_hash": image.verity.map(|verity| verity.root_hash.hex()),
        })
    };
    let shadow = |shadow: &Shadow| {
        json!({
            "path": shadow.path, "seen": shadow.seen.as_str(), "hidden": shadow.hidden.as_str(),
            "folder": match &shadow.hiding {
                Hiding::Folder { seen, hidden } => json!({ "seen": seen, "hidden": hidden }),
                Hiding::Entry | Hiding::OtherKind => serde_json::Value::Null,
            },
        })
    };
    let unresolved = |finding: &Finding| json!({ "library": finding.missing.name(), "from": finding.layer.as_str(), "by": finding.by });
    let setting = |line: &SettingLine| {
        json!({
            "path": line.path, "setting": line.setting, "hidden": line.hides.as_ref().map(|name| name.as_str()),
        })
    };
    let settings = system.iter().flat_map(|system| &system.lines).map(setting).collect::<Vec<_>>();
    json!({
        "name": profile.name.as_str(),
        "generation": published.map(|(generation, _)| generation),
        "new": published.is_some_and(|(_, new)| new),
        "boot_parameter": lock::boot_parameter(profile),
        "layers": profile.images.iter().map(image).collect::<Vec<_>>(),
        "kernel": profile.kernel.as_ref().map(super::kernel_named::pin_json),
        "optional": profile.optional.iter().map(image).collect::<Vec<_>>(),
        "shadowed": shadowed.iter().map(shadow).collect::<Vec<_>>(),
        "idle_overrides": idle_overrides,
        "unresolved": locked.unresolved.iter().map(unresolved).collect::<Vec<_>>(),
        "idle_unresolved": idle_unresolved,
        "mended": mended,
        "settings": settings,
        "password_hashes": system.as_ref().map_or(&[][..], |system| &system.hashes),
    })
}

#[cfg(test)]
mod tests {
    use profiles::Name;
    use profiles::resolved::BootProfile;

    use super::*;
    use crate::linking::Missing;

    #[test]
    fn a_program_learns_what_a_person_is_told() {
        let hex = "ab".repeat(32);
        let image = format!("image \"base\" version=\"1\" digest=\"sha256:{hex}\" size=4096");
        let text = format!(
            "profile \"web\" format=1 {{\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/sbin/init\"\n}}\n"
        );
        let profile =
            BootProfile::parse("test.kdl", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let name = |name| Name::parse(name).unwrap();
        let shadowed = vec![Shadow {
            path: "/etc/motd".into(),
            seen: name("site"),
            hidden: name("base"),
            hiding: Hiding::Entry,
        }];
        let locked = Locked {
            profile,
            shadowed,
            idle_overrides: vec!["/etc/issue".into()],
            unresolved: vec![Finding {
                layer: name("site"),
                missing: Missing::Library("libit.so.1".into()),
                by: vec!["/usr/bin/it".into()],
                instead: None,
                above: Vec::new(),
            }],
            idle_unresolved: vec!["libother.so.1".into()],
            mended: Vec::new(),
            indexes: None,
            system: None,
        };
        let told = as_json(&locked, Some((4, true)));
        assert_eq!(
            (&told["name"], &told["generation"], &told["new"]),
            (&json!("web"), &json!(4), &json!(true))
        );
        let parameter = told["boot_parameter"].as_str().unwrap();
        assert!(parameter.starts_with("lamina.profile=web@sha256:"), "{parameter}");
        assert_eq!(told["layers"][0]["digest"], json!(format!("sha256:{hex}")));
        assert_eq!(told["layers"][0]["root_hash"], json!(null));
        assert_eq!(
            told["shadowed"],
            json!([{ "path": "/etc/motd", "seen": "site", "hidden": "base", "folder": null }])
        );
        assert_eq!(told["idle_overrides"], json!(["/etc/issue"]));
        assert_eq!(
            told["unresolved"],
            json!([{ "library": "libit.so.1", "from": "site", "by": ["/usr/bin/it"] }])
        );
        assert_eq!(told["idle_unresolved"], json!(["libother.so.1"]));
        assert_eq!((&told["settings"], &told["password_hashes"]), (&json!([]), &json!([])));
        // With --dry-run.
        let told = as_json(&locked, None);
        assert_eq!((&told["generation"], &told["new"]), (&json!(null), &json!(false)));
    }
}
