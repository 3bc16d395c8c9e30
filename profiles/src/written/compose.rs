//! Joins a profile with those that it includes.
//!
//! One list of packages is kept, bottom first. Profiles are taken depth first, each once, the included ones before the
//! one that includes them; each takes the packages of its `without` lines off the list, then puts its own on top. A
//! package that was on the list already moves up with its new wish, and the old wish is forgotten. A second list holds
//! the optional packages in the same way; a package is on one of the two, where the last wish put it. A profile is sealed
//! when any that took part is: an include can be trusted to keep its seal.

use std::collections::BTreeMap;

use super::settings::Settings;
use super::{Mention, Override, Package, Profile, Unresolved};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::seal::Seal;
use crate::suggest;
use crate::system::{SystemPath, Verify};
use crate::{Choice, Name, TmpfsSize, WritableTop};

/// Deepest chain of includes.
const DEEPEST: usize = 32;

/// A profile with everything it includes.
#[derive(Debug, Clone)]
pub struct Composition {
    /// The name of the outermost profile.
    pub name: Name,
    /// What the outermost profile says of itself.
    pub description: Option<String>,
    /// All profiles that took part, the included ones first.
    pub profiles: Vec<Name>,
    /// The wishes, bottom first, no package twice.
    pub packages: Vec<Package>,
    /// The wishes for packages that can be added, bottom first, none of them among `packages`.
    pub optional: Vec<Package>,
    /// What each package is asked for whose line does not say it and whose recipe can be so.
    pub of_each: BTreeMap<String, Choice>,
    /// What lies on top of the images; a tmpfs of half the memory when no profile says.
    pub root: WritableTop,
    /// How images are checked; by digest when no profile says.
    pub verify: Verify,
    /// The first program; `/sbin/init` when no profile says.
    pub init: SystemPath,
    /// The paths that may be shadowed, no path twice.
    pub overrides: Vec<Override>,
    /// What packages may need although it is not there, no library of a package twice.
    pub unresolved: Vec<Unresolved>,
    /// Whether a boot refuses overrides that would weaken it.
    pub sealed: Option<Seal>,
    /// The machine's own settings; of two lines that name the same thing, the last one.
    pub settings: Settings,
    /// The kernel that it boots on: of several, that of the last profile; any when no profile says.
    pub kernel: Option<Mention>,
}

/// Joins `profile` with its includes, which `load` reads.
///
/// # Errors
/// What `load` returns; and cycles, names that do not match, `without` and `override` lines that name no package here.
pub fn compose(
    profile: &Profile,
    mut load: impl FnMut(&Mention) -> Result<Profile, Diagnostics>,
) -> Result<Composition, Diagnostics> {
    let mut joined = Joined::start(profile);
    joined.add(profile, &mut Vec::new(), &mut load)?;
    joined.check_overrides();
    Diagnostics::unless(joined.errors)?;
    Ok(joined.result)
}

/// What was gathered so far.
struct Joined {
    result: Composition,
    errors: Vec<Diagnostic>,
}

impl Joined {
    fn start(profile: &Profile) -> Joined {
        let result = Composition {
            name: profile.name.clone(),
            description: profile.description.clone(),
            profiles: Vec::new(),
            packages: Vec::new(),
            optional: Vec::new(),
            of_each: BTreeMap::new(),
            root: WritableTop::Tmpfs { size: TmpfsSize::Percent(50) },
            verify: Verify::Digest,
            init: SystemPath("/sbin/init".to_owned()),
            overrides: Vec::new(),
            unresolved: Vec::new(),
            sealed: None,
            settings: Settings::default(),
            kernel: None,
        };
        Joined { result, errors: Vec::new() }
    }

    /// Adds the includes of `profile`, then itself. `open` holds the profiles whose includes are being added.
    fn add(
        &mut self,
        profile: &Profile,
        open: &mut Vec<Name>,
        load: &mut dyn FnMut(&Mention) -> Result<Profile, Diagnostics>,
    ) -> Result<(), Diagnostics> {
        open.push(profile.name.clone());
        for include in &profile.includes {
            refuse_cycle(open, include)?;
            if self.result.profiles.contains(&include.name) {
                continue;
            }
            let included = load(include)?;
            if included.name != include.name {
                let message = format!(
                    "this profile is called '{}', and is included as '{}'",
                    included.name, include.name
                );
                return Err(included
                    .span
                    .error(message, "give the file and the profile in it the same name")
                    .into());
            }
            self.add(&included, open, load)?;
        }
        open.pop();
        self.add_alone(profile);
        Ok(())
    }

    fn add_alone(&mut self, profile: &Profile) {
        self.result.profiles.push(profile.name.clone());
        for without in &profile.without {
            self.leave_out(without, profile);
        }
        for package in &profile.packages {
            self.forget(&package.name);
            self.result.packages.push(package.clone());
        }
        for package in &profile.optional {
            self.forget(&package.name);
            self.result.optional.push(package.clone());
        }
        self.result.of_each.extend(profile.of_each.clone());
        for allowed in &profile.overrides {
            self.result.overrides.retain(|other| other.path != allowed.path);
            self.result.overrides.push(allowed.clone());
        }
        for allowed in &profile.unresolved {
            let same = |other: &Unresolved| other.library == allowed.library && other.from == allowed.from;
            self.result.unresolved.retain(|other| !same(other));
            self.result.unresolved.push(allowed.clone());
        }
        if let Some(seal) = &profile.sealed {
            self.result.sealed.get_or_insert_default().join(seal);
        }
        if let Some(settings) = &profile.settings {
            self.result.settings.join(settings);
        }
        if let Some(root) = &profile.root {
            self.result.root = root.clone();
        }
        self.result.verify = profile.verify.unwrap_or(self.result.verify);
        if let Some(init) = &profile.init {
            self.result.init = init.clone();
        }
        if let Some(kernel) = &profile.kernel {
            self.result.kernel = Some(kernel.clone());
        }
    }

    /// Takes a package off the list that it is on.
    fn forget(&mut self, name: &Name) {
        self.result.packages.retain(|package| package.name != *name);
        self.result.optional.retain(|package| package.name != *name);
    }

    /// The packages of both lists.
    fn all(&self) -> impl Iterator<Item = &Package> {
        self.result.packages.iter().chain(&self.result.optional)
    }

    fn leave_out(&mut self, without: &Mention, profile: &Profile) {
        if profile.packages.iter().chain(&profile.optional).any(|package| package.name == without.name) {
            let message = format!("'{}' is both left out and wanted here", without.name);
            self.errors.push(
                without
                    .span
                    .error(message, "remove one of the two lines; a wish replaces an included one by itself"),
            );
        } else if !self.all().any(|package| package.name == without.name) {
            let message = format!("no included profile has the package '{}'", without.name);
            self.errors.push(without.span.error(message, self.remedy(&without.name)));
        }
        self.forget(&without.name);
    }

    /// An override must name a package that is there in the end.
    fn check_overrides(&mut self) {
        for allowed in &self.result.overrides {
            if !self.all().any(|package| package.name == allowed.from) {
                let message = format!(
                    "'{}' may not be shadowed from '{}': the profile has no such package",
                    allowed.path.as_str(),
                    allowed.from
                );
                self.errors.push(allowed.span.error(message, self.remedy(&allowed.from)));
            }
        }
    }

    fn remedy(&self, name: &Name) -> String {
        let known: Vec<&str> = self.all().map(|package| package.name.as_str()).collect();
        suggest::remedy(name.as_str(), &known)
    }
}

/// Refuses an include that is already open, showing the way round, and chains without end.
fn refuse_cycle(open: &[Name], include: &Mention) -> Result<(), Diagnostics> {
    if let Some(start) = open.iter().position(|name| *name == include.name) {
        let way: Vec<&str> = open[start..].iter().chain([&include.name]).map(Name::as_str).collect();
        let message = format!("profiles include each other in a circle: {}", way.join(" -> "));
        return Err(include.span.error(message, "take one of these includes out").into());
    }
    if open.len() >= DEEPEST {
        let message = format!("includes are more than {DEEPEST} deep");
        return Err(include.span.error(message, "include the profiles side by side").into());
    }
    Ok(())
}
