//! Lists the members of groups.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Answer, Call, json,
    paging::{self, PageQuery},
    problem::Problem,
    read,
};
use crate::{
    layer::SendError,
    message::{Member, MemberKey, MembersPage},
};

/// Some members of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupMembers {
    group: String,
    /// In the order of their keys.
    members: Vec<GroupMember>,
    /// How many the group has in all.
    total: u64,
    /// Give it as `cursor` for what follows. Without it: this is the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A member of a group. It is there until it has left, also without a connection.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupMember {
    key: String,
    /// Its facts, as its consumer gave them.
    #[schema(value_type = Object)]
    facts: Value,
}

/// Those who are present in a group.
#[utoipa::path(get, path = "/api/v1/groups/{group}/members", tag = "messages",
    params(PageQuery, ("group" = String, Path, description = "The group")),
    responses(
        (status = 200, description = "A page of them; none where nobody is present", body = GroupMembers),
        (status = 400, description = "Not a name, or the query is not valid", body = Problem),
        (status = 403, description = "A group of a user, or one that the token does not cover", body = Problem),
        (status = 503, description = "Redis does not answer", body = Problem),
    ),
)]
pub(super) async fn list(call: &Call) -> Result<Answer, Box<Problem>> {
    let group = call.group()?;
    let PageQuery { cursor, limit } = read::parse(&call.query)?;
    let limit = paging::limit(limit)?;
    let after = cursor.map(|cursor| {
        let text = format!("{cursor:?} is not a cursor; give the one of the page before");
        MemberKey::parse(&cursor).map_err(|_| Problem::bad("cursor", text))
    });
    let read = call.state.layer.members(&group, after.transpose()?.as_ref(), limit).await;
    let MembersPage { count: total, members, has_more, .. } = read.map_err(SendError::Layer)?;
    let cursor = members.last().filter(|_| has_more).map(|member| member.key.to_string());
    let shown = |Member { key, facts }: Member| GroupMember {
        key: key.to_string(),
        facts: facts.to_json(),
    };
    let members = members.into_iter().map(shown).collect();
    Ok(json(StatusCode::OK, &GroupMembers { group: group.to_string(), members, total, cursor }))
}
