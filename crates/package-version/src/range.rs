//! From where to where the versions lie that a constraint admits, and how two such ranges lie to each other.

use std::cmp::Ordering;
use std::fmt;

use crate::scheme::Scheme;
use crate::version::{Key, SchemesDiffer, Version, same_scheme};
use crate::{debian, loose, semantic};

/// On which side of a version a range is cut; versions themselves are between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Before,
    At,
    After,
}

/// A place in the order of versions.
#[derive(Debug, Clone)]
struct Cut {
    key: Key,
    side: Side,
}

impl Cut {
    fn of(version: &Version, side: Side) -> Cut {
        Cut { key: version.key().clone(), side }
    }

    /// Before all pre-releases of a version. In the order of each scheme they stand together, right before it.
    fn before_prereleases(version: &Version) -> Cut {
        let key = match (version.key(), version.scheme()) {
            (Key::Semver(version), _) => Key::Semver(semantic::first_prerelease(version)),
            (_, Scheme::Loose) => Key::Bytes(loose::prefix_of_prereleases(version.as_str())),
            (_, Scheme::Debian) => Key::Bytes(debian::prefix_of_prereleases(version.as_str())),
            (key, _) => key.clone(),
        };
        Cut { key, side: Side::Before }
    }

    fn order(&self, other: &Cut) -> Ordering {
        self.key.precedence(&other.key).then(self.side.cmp(&other.side))
    }
}

/// One end of a range.
#[derive(Debug, Clone)]
pub struct Bound {
    version: Version,
    inclusive: bool,
    cut: Cut,
}

impl Bound {
    /// The version at which the range ends.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether that version lies in the range. Where an upper bound does not, its pre-releases do not either.
    pub fn is_inclusive(&self) -> bool {
        self.inclusive
    }
}

/// The versions that a constraint admits: all between two bounds, without some points.
///
/// ```
/// use package_version::{Constraint, Relation, Scheme};
/// let range = |text| Constraint::parse(text, Scheme::Loose).unwrap().range().clone();
/// assert_eq!(range("~1.2").relation(&range("<2")), Ok(Relation::Within));
/// assert_eq!(range("<1.5").relation(&range(">=1.2")), Ok(Relation::Crossing));
/// ```
#[derive(Debug, Clone)]
pub struct Range {
    scheme: Scheme,
    lower: Option<Bound>,
    upper: Option<Bound>,
    excluded: Vec<Version>,
}

/// How one range lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// No version lies in both.
    Apart,
    /// Both admit the same.
    Same,
    /// It lies in the other one, so it is the nearer one.
    Within,
    /// The other one lies in it.
    Around,
    /// They overlap, and neither lies in the other: none of them is nearer.
    Crossing,
}

impl Range {
    /// Every version of the scheme.
    pub fn everything(scheme: Scheme) -> Range {
        Range { scheme, lower: None, upper: None, excluded: Vec::new() }
    }

    /// The scheme of its versions.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// From where; `None`: from the beginning.
    pub fn lower(&self) -> Option<&Bound> {
        self.lower.as_ref()
    }

    /// Up to where; `None`: without an end.
    pub fn upper(&self) -> Option<&Bound> {
        self.upper.as_ref()
    }

    /// The versions between its bounds that do not lie in it.
    pub fn excluded(&self) -> &[Version] {
        &self.excluded
    }

    /// Whether a version lies in it.
    ///
    /// # Errors
    /// It is of another scheme.
    pub fn contains(&self, version: &Version) -> Result<bool, SchemesDiffer> {
        same_scheme(self.scheme, version.scheme())?;
        Ok(self.has(version))
    }

    /// Whether a version can lie in both. It may say so of two that share a gap alone, as between two letters of plain names.
    ///
    /// # Errors
    /// They are of two schemes.
    pub fn overlaps(&self, other: &Range) -> Result<bool, SchemesDiffer> {
        same_scheme(self.scheme, other.scheme)?;
        let mut both = self.clone();
        both.narrow(other);
        Ok(!both.is_empty())
    }

    /// Whether all of it lies in the other one, or is the same.
    ///
    /// # Errors
    /// They are of two schemes.
    pub fn is_within(&self, other: &Range) -> Result<bool, SchemesDiffer> {
        same_scheme(self.scheme, other.scheme)?;
        let starts = lower_order(&self.lower, &other.lower).is_ge();
        let ends = upper_order(&self.upper, &other.upper).is_le();
        Ok(starts && ends && !other.excluded.iter().any(|version| self.has(version)))
    }

    /// How it lies to another one.
    ///
    /// # Errors
    /// They are of two schemes.
    pub fn relation(&self, other: &Range) -> Result<Relation, SchemesDiffer> {
        Ok(match (self.is_within(other)?, other.is_within(self)?) {
            (true, true) => Relation::Same,
            (true, false) => Relation::Within,
            (false, true) => Relation::Around,
            (false, false) if self.overlaps(other)? => Relation::Crossing,
            (false, false) => Relation::Apart,
        })
    }

    /// Whether nothing can lie in it.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Some(lower), Some(upper)) => {
                let is_point = lower.cut.key.precedence(&upper.cut.key).is_eq();
                let without = |version: &Version| version.key().precedence(&lower.cut.key).is_eq();
                lower.cut.order(&upper.cut).is_ge() || is_point && self.excluded.iter().any(without)
            }
            _ => false,
        }
    }

    /// From a version on, which lies in it or not.
    pub(crate) fn begin(&mut self, version: Version, inclusive: bool) {
        let side = if inclusive { Side::Before } else { Side::After };
        let bound = Bound { cut: Cut::of(&version, side), version, inclusive };
        self.narrow(&Range { lower: Some(bound), ..Range::everything(self.scheme) });
    }

    /// Up to a version, which lies in it, or neither it nor its pre-releases do.
    pub(crate) fn end(&mut self, version: Version, inclusive: bool) {
        let cut = if inclusive { Cut::of(&version, Side::After) } else { Cut::before_prereleases(&version) };
        let bound = Bound { cut, version, inclusive };
        self.narrow(&Range { upper: Some(bound), ..Range::everything(self.scheme) });
    }

    /// Without a version.
    pub(crate) fn exclude(&mut self, version: Version) {
        self.narrow(&Range { excluded: vec![version], ..Range::everything(self.scheme) });
    }

    /// What lies in both, which are of one scheme.
    fn narrow(&mut self, other: &Range) {
        if lower_order(&other.lower, &self.lower).is_gt() {
            self.lower.clone_from(&other.lower);
        }
        if upper_order(&other.upper, &self.upper).is_lt() {
            self.upper.clone_from(&other.upper);
        }
        let excluded: Vec<Version> = self.excluded.drain(..).chain(other.excluded.iter().cloned()).collect();
        for version in excluded {
            let is_new = self.excluded.iter().all(|known| known.key().precedence(version.key()).is_ne());
            if is_new && self.is_between(&version) {
                self.excluded.push(version);
            }
        }
    }

    fn has(&self, version: &Version) -> bool {
        let is_excluded = |point: &Version| point.key().precedence(version.key()).is_eq();
        self.is_between(version) && !self.excluded.iter().any(is_excluded)
    }

    fn is_between(&self, version: &Version) -> bool {
        let at = Cut::of(version, Side::At);
        self.lower.as_ref().is_none_or(|lower| lower.cut.order(&at).is_lt())
            && self.upper.as_ref().is_none_or(|upper| at.order(&upper.cut).is_lt())
    }
}

/// Without a lower bound a range begins first.
fn lower_order(one: &Option<Bound>, other: &Option<Bound>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.cut.order(&other.cut),
        (one, other) => one.is_some().cmp(&other.is_some()),
    }
}

/// Without an upper bound a range ends last.
fn upper_order(one: &Option<Bound>, other: &Option<Bound>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.cut.order(&other.cut),
        (one, other) => one.is_none().cmp(&other.is_none()),
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |bound: &Bound, without, with| if bound.inclusive { with } else { without };
        let lower = self.lower.iter().map(|bound| format!("{}{}", sign(bound, ">", ">="), bound.version));
        let upper = self.upper.iter().map(|bound| format!("{}{}", sign(bound, "<", "<="), bound.version));
        let excluded = self.excluded.iter().map(|version| format!("!={version}"));
        let parts: Vec<String> = lower.chain(upper).chain(excluded).collect();
        f.pad(&if parts.is_empty() { "any version".to_owned() } else { parts.join(", ") })
    }
}
