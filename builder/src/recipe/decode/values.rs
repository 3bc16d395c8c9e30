//! The values of a recipe: texts and numbers of which not every one will do.

use profiles::decode::{KdlValue, Node, Problem, Value, text};
use profiles::{Choice, Name, suggest};

use crate::choice::{FeatureValue, name};
use crate::image::capabilities::FileCapabilities;
use crate::image::overlay_marks::acts_in_overlayfs;

/// Declares a type that is read from a text by a function.
macro_rules! text_value {
    ($name:ident($inner:ty), $parse:expr, $help:expr) => {
        pub(super) struct $name(pub(super) $inner);
        impl Value for $name {
            fn decode(value: &KdlValue) -> Result<Self, Problem> {
                let parse: fn(&str) -> Result<$inner, String> = $parse;
                parse(text(value)?).map($name).map_err(|message| Problem::new(message, $help))
            }
        }
    };
}

text_value!(Line(String), line, "write one line of text");
text_value!(FileName(String), file_name, "write the name of a file, without folders");
text_value!(FilePath(String), file_path, "write a path below the recipe's folder, such as \"etc/passwd\"");
text_value!(ImagePath(String), image_path, "write an absolute path in the image, such as \"/usr/bin/su\"");
text_value!(PlainName(String), name::parse, name::HELP);
text_value!(Mode(u32), mode, "write the mode in octal, between quotes, such as \"4755\"");

text_value!(
    Capabilities(FileCapabilities),
    FileCapabilities::parse,
    "write what setcap takes, such as \"cap_net_raw=ep\" or \"cap_chown,cap_kill=ep cap_net_admin=i\""
);
text_value!(Attribute(String), attribute_name, "write a name of the family user, such as \"user.mime_type\"");

pub(super) struct Id(pub(super) u32);

impl Value for Id {
    fn decode(value: &KdlValue) -> Result<Self, Problem> {
        let number = u64::decode(value)?;
        let wrong = || Problem::new(format!("{number} is too large for an id"), "ids go up to 4294967294");
        u32::try_from(number).ok().filter(|id| *id != u32::MAX).map(Id).ok_or_else(wrong)
    }
}

fn line(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("is empty or has control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The other families are the host's, or have their own property (`capabilities`).
fn attribute_name(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("user.").unwrap_or_default();
    // XATTR_NAME_MAX of the kernel's include/uapi/linux/limits.h.
    if name.is_empty() || text.len() > 255 || name.contains('*') || text.chars().any(char::is_control) {
        return Err(format!("'{text}' is not the name of an attribute that a package may have"));
    }
    if acts_in_overlayfs(text.as_bytes()) {
        return Err(format!("'{text}' is one of those on which overlayfs acts, which no package may have"));
    }
    Ok(text.to_owned())
}

pub(in crate::recipe) fn file_name(text: &str) -> Result<String, String> {
    let path = file_path(text)?;
    if path.contains('/') || path.starts_with('.') || path.starts_with('-') {
        return Err(format!("'{text}' is not a plain file name"));
    }
    Ok(path)
}

/// A relative path that stays below its folder.
fn file_path(text: &str) -> Result<String, String> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if text.len() > 1024 || text.chars().any(char::is_control) || !text.split('/').all(plain) {
        return Err(format!("'{text}' is not a path that stays below its folder"));
    }
    Ok(text.to_owned())
}

fn image_path(text: &str) -> Result<String, String> {
    let relative = text.strip_prefix('/').ok_or_else(|| format!("'{text}' does not begin with /"))?;
    file_path(relative)?;
    Ok(text.to_owned())
}

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777 && !text.starts_with('+'))
        .ok_or_else(|| format!("'{text}' is not a mode"))
}

/// The property `default`, which is one of `values`; anything else is noted, and they are called `what` then.
pub(super) fn one_of(node: Node<'_>, values: &[FeatureValue], what: &str) -> Option<Choice> {
    let default = node.property::<Name>("default")?;
    let known: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
    match known.contains(&default.as_str()) {
        true => Some(Choice::Of(default)),
        false => node.refuse_property(
            "default",
            format!("the default '{default}' is none of the {what}"),
            suggest::remedy(default.as_str(), &known),
        ),
    }
}
