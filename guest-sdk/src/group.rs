//! Names of groups.

use std::borrow::Cow;

/// The name of a group.
///
/// Text is relative to the module: in module `chat`, `"lobby"` is the group `chat.lobby`.
/// [`Group::named`] takes a name as it is, for groups of other modules. The host refuses those that the
/// module was not granted.
///
/// Names are 1 to 99 bytes of `a-z A-Z 0-9 . _ -`, the module's part included. Other text is refused
/// when it is used.
///
/// ```
/// use tidegate_sdk::{Context, Frame, Group, Result, export, http, testing::TestHost};
///
/// #[http("POST /storm")]
/// fn storm(cx: &mut Context) -> Result<&'static str> {
///     let warning = Frame::text("storm ahead");
///     cx.group_send("harbour", &warning)?;
///     cx.group_send(Group::named("alerts.all"), &warning)?;
///     Ok("warned\n")
/// }
///
/// export! { storm }
///
/// let host = TestHost::new(consumers()).named("tide").granted("alerts.all");
/// assert_eq!(host.request("POST", "/storm").send().status(), 200);
/// assert_eq!(host.group_messages(Group::named("tide.harbour")).len(), 1);
/// assert_eq!(host.group_messages(Group::named("alerts.all")).len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a>(Kind<'a>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind<'a> {
    Relative(Cow<'a, str>),
    Named(Cow<'a, str>),
}

impl<'a> Group<'a> {
    /// A name as it is, without the module's in front.
    pub fn named(name: impl Into<Cow<'a, str>>) -> Self {
        Self(Kind::Named(name.into()))
    }

    pub(crate) fn full_name(self, module: &str) -> Cow<'a, str> {
        match self.0 {
            Kind::Named(name) => name,
            Kind::Relative(name) => format!("{module}.{name}").into(),
        }
    }
}

impl<'a> From<&'a str> for Group<'a> {
    fn from(name: &'a str) -> Self {
        Self(Kind::Relative(name.into()))
    }
}

impl<'a> From<&'a String> for Group<'a> {
    fn from(name: &'a String) -> Self {
        Self(Kind::Relative(name.into()))
    }
}

impl From<String> for Group<'_> {
    fn from(name: String) -> Self {
        Self(Kind::Relative(name.into()))
    }
}
