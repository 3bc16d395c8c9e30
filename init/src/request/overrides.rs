//! What the kernel command line changes of a profile: `lamina.add=`, `lamina.without=`, `lamina.verify=`, `lamina.state=`.
//!
//! Pure: a profile and the wishes give another profile, or a refusal. A `sealed` profile refuses all of them by name, and
//! `init=` too: who seals a profile means that the command line must not weaken it.

use std::fmt;

use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Name, Verify, WritableTop, suggest};

use crate::error::Failure;

/// What to change.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Overrides {
    /// `lamina.add=NAME,PROFILE/NAME`: images on top of the stack, the last one topmost. Several parameters add up.
    pub add: Vec<Added>,
    /// `lamina.without=NAME,NAME`: images to leave out. Several parameters add up.
    pub without: Vec<Name>,
    /// `lamina.verify=`.
    pub verify: Option<Verify>,
    /// `lamina.state=`: what lies on top, and as it was written.
    pub top: Option<(WritableTop, String)>,
}

/// An image to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The profile of the store whose image it is; `None` for one that the profile itself offers as `optional`.
    pub profile: Option<Name>,
    /// The package name of the image.
    pub image: Name,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.profile {
            Some(profile) => write!(f, "{profile}/{}", self.image),
            None => write!(f, "{}", self.image),
        }
    }
}

impl Overrides {
    /// Reads the value of one of the four parameters.
    pub fn take(&mut self, parameter: &str, value: &str) -> Result<(), Failure> {
        match parameter {
            "add" => {
                self.add.extend(list(value, "write lamina.add=NAME,NAME or lamina.add=PROFILE/NAME", added)?)
            }
            "without" => self.without.extend(list(value, "write lamina.without=NAME,NAME", name)?),
            "verify" => {
                let words = ["verity", "digest", "none"];
                let verify = Verify::parse(value).ok_or_else(|| {
                    let remedy = suggest::nearest(value, words).map_or_else(
                        || format!("write one of {}", words.join(", ")),
                        |word| format!("write lamina.verify={word}"),
                    );
                    Failure::new("it is no way of checking images").try_this(remedy)
                })?;
                self.verify = Some(verify);
            }
            _ => {
                let top = WritableTop::parse_parameter(value);
                let top = top.map_err(|problem| Failure::new(&problem.message).try_this(problem.help))?;
                self.top = Some((top, value.to_owned()));
            }
        }
        Ok(())
    }

    /// The parameters as they were written, for messages and the report.
    fn parameters(&self) -> Vec<String> {
        let added = self.add.iter().map(|image| format!("lamina.add={image}"));
        let without = self.without.iter().map(|name| format!("lamina.without={name}"));
        let verify = self.verify.iter().map(|way| format!("lamina.verify={way}"));
        let top = self.top.iter().map(|(_, written)| format!("lamina.state={written}"));
        added.chain(without).chain(verify).chain(top).collect()
    }

    /// The changed profile, and what was changed in words. `init` is the value of `init=`; `other` reads the newest
    /// generation of another profile of the store.
    pub fn apply(
        &self,
        profile: BootProfile,
        init: Option<&str>,
        other: impl Fn(&Name) -> Result<BootProfile, Failure>,
    ) -> Result<(BootProfile, Vec<String>), Failure> {
        let mut changes = self.parameters();
        changes.extend(init.map(|path| format!("init={path}")));
        if profile.sealed.is_some() && !changes.is_empty() {
            return Err(Failure::new(format!("the profile is sealed and refuses {}", changes.join(", ")))
                .try_this("take it off the kernel command line, or lock a profile that is not sealed"));
        }
        let mut changed = profile;
        for name in &self.without {
            leave_out(&mut changed, name)?;
        }
        for added in &self.add {
            let image = find(&changed, added, &other)?;
            if let Some(there) = changed.images.iter().find(|there| there.name == image.name) {
                return Err(Failure::new(format!(
                    "{added} is in the profile already, in version {}",
                    there.version
                ))
                .try_this(format!("take lamina.add={added} off, or add lamina.without={}", image.name)));
            }
            changed.images.push(image);
        }
        if changed.images.is_empty() {
            return Err(
                Failure::new("lamina.without= leaves no image at all").try_this("leave at least one in")
            );
        }
        changed.verify = self.verify.unwrap_or(changed.verify);
        can_be_verified(&changed)?;
        if let Some((top, _)) = &self.top {
            changed.root.clone_from(top);
        }
        changed.init = init.map_or(changed.init, str::to_owned);
        Ok((changed, changes))
    }
}

/// Where dm-verity is wanted, every image has a root hash.
fn can_be_verified(profile: &BootProfile) -> Result<(), Failure> {
    let without = profile.images.iter().find(|image| image.verity.is_none());
    let Some(image) = without.filter(|_| profile.verify == Verify::Verity) else { return Ok(()) };
    Err(Failure::new(format!("verify \"verity\", and {} has no root hash in its profile", image.name))
        .try_this("lock the profile again with images that carry hash trees, or use lamina.verify=digest"))
}

fn leave_out(profile: &mut BootProfile, name: &Name) -> Result<(), Failure> {
    let there = profile.images.len();
    profile.images.retain(|image| image.name != *name);
    if profile.images.len() < there {
        return Ok(());
    }
    Err(Failure::new(format!("lamina.without={name}: the profile has no image of that name"))
        .having_seen([format!("images of the profile: {}", names(&profile.images))])
        .try_this("name one of them"))
}

fn find(
    profile: &BootProfile,
    added: &Added,
    other: impl Fn(&Name) -> Result<BootProfile, Failure>,
) -> Result<ImageRef, Failure> {
    let Added { profile: from, image: name } = added;
    let offered = match from {
        None => profile.optional.clone(),
        Some(from) => {
            let other = other(from)?;
            other.images.into_iter().chain(other.optional).collect()
        }
    };
    if let Some(image) = offered.iter().find(|image| image.name == *name) {
        return Ok(image.clone());
    }
    let owner = from.as_ref().unwrap_or(&profile.name);
    let failure = Failure::new(format!("lamina.add={added}: the profile `{owner}` offers no image `{name}`"))
        .try_this(
            "list it under `optional` in the profile and lock it again, or write lamina.add=PROFILE/NAME",
        );
    Err(if offered.is_empty() {
        failure
    } else {
        failure.having_seen([format!("`{owner}` offers: {}", names(&offered))])
    })
}

fn names(images: &[ImageRef]) -> String {
    images.iter().map(|image| image.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn list<T>(value: &str, remedy: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Failure> {
    value.split(',').map(parse).collect::<Result<_, _>>().map_err(|why| Failure::new(why).try_this(remedy))
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn added(text: &str) -> Result<Added, String> {
    match text.split_once('/') {
        None => Ok(Added { profile: None, image: name(text)? }),
        Some((profile, image)) => Ok(Added { profile: Some(name(profile)?), image: name(image)? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str) -> String {
        format!("image \"{name}\" version=\"1\" digest=\"sha256:{}\" size=1\n", "0".repeat(64))
    }

    fn profile(name: &str, images: &[&str], more: &str) -> BootProfile {
        let images: String = images.iter().map(|name| image(name)).collect();
        let text = format!(
            "profile \"{name}\" format=1 {{\n{images}{more}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/sbin/init\"\n}}\n"
        );
        BootProfile::parse("test.kdl", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn web(more: &str) -> BootProfile {
        profile("web", &["base", "busybox"], more)
    }

    fn wishes(parameters: &[(&str, &str)]) -> Overrides {
        let mut overrides = Overrides::default();
        parameters.iter().for_each(|(name, value)| overrides.take(name, value).unwrap());
        overrides
    }

    fn apply(
        profile: &BootProfile,
        parameters: &[(&str, &str)],
    ) -> Result<(BootProfile, Vec<String>), Failure> {
        let other = |_: &Name| Ok(self::profile("tools", &["lua"], ""));
        wishes(parameters).apply(profile.clone(), None, other)
    }

    fn stack(profile: &BootProfile) -> String {
        names(&profile.images)
    }

    #[test]
    fn without_wishes_nothing_changes() {
        let profile = web("");
        assert_eq!(apply(&profile, &[]), Ok((profile, Vec::new())));
    }

    #[test]
    fn images_are_added_on_top_and_left_out() {
        let profile = web(&image("strace").replace("image", "optional"));
        let (changed, told) = apply(&profile, &[("add", "strace,tools/lua"), ("without", "base")]).unwrap();
        assert_eq!(stack(&changed), "busybox, strace, lua");
        assert_eq!(told, ["lamina.add=strace", "lamina.add=tools/lua", "lamina.without=base"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_there_is() {
        let why = |parameters: &[(&str, &str)]| apply(&web(""), parameters).unwrap_err();
        assert_eq!(why(&[("without", "nano")]).seen, ["images of the profile: base, busybox"],);
        assert_eq!(why(&[("add", "lua")]).why, "lamina.add=lua: the profile `web` offers no image `lua`");
        assert_eq!(why(&[("add", "tools/nano")]).seen, ["`tools` offers: lua"]);
        assert_eq!(why(&[("without", "base,busybox")]).why, "lamina.without= leaves no image at all");
        assert!(why(&[("verify", "verity")]).why.contains("base has no root hash"));
        let twice = profile("web", &["lua"], "");
        assert!(apply(&twice, &[("add", "tools/lua")]).unwrap_err().why.contains("already"));
    }

    #[test]
    fn the_way_of_checking_and_the_top_are_replaced() {
        let (changed, told) = apply(&web(""), &[("verify", "none"), ("state", "tmpfs,size=64M")]).unwrap();
        assert_eq!(told, ["lamina.verify=none", "lamina.state=tmpfs,size=64M"]);
        assert_eq!(changed.verify, Verify::None);
        assert_eq!(changed.root, WritableTop::parse_parameter("tmpfs,size=64M").unwrap());
    }

    #[test]
    fn a_sealed_profile_refuses_every_one_by_name() {
        let sealed = web("sealed");
        for (name, value) in
            [("add", "tools/lua"), ("without", "base"), ("verify", "none"), ("state", "tmpfs")]
        {
            let failure = apply(&sealed, &[(name, value)]).unwrap_err();
            let why = format!("the profile is sealed and refuses lamina.{name}={value}");
            assert_eq!((&failure.why, failure.remedies.len()), (&why, 1));
        }
        let other = |_: &Name| Err(Failure::new("not asked"));
        let failure = Overrides::default().apply(sealed.clone(), Some("/bin/sh"), other).unwrap_err();
        assert_eq!(failure.why, "the profile is sealed and refuses init=/bin/sh");
        assert_eq!(apply(&sealed, &[]), Ok((sealed, Vec::new())));
    }
}
