//! What is to go out, was refused, or is held.

use std::{collections::HashMap, sync::Arc};

use axum::extract::{Extension, Query, State};
use minijinja::context;

use super::{
    Page, Site,
    bounces::{STATES, state},
    guard::Frame,
    name_of, page, told,
};

/// Rows that are shown; what lies beyond is to be found by its bounce.
const ROWS: u32 = 200;

/// GET /outbox
pub(super) async fn outbox(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Query(query): Query<HashMap<String, String>>,
) -> Page {
    let asked = query.get("state").filter(|it| !it.is_empty());
    let standing = asked.map(|it| state(it)).transpose()?;
    let rows = site.journal.outbox(standing, ROWS).await?;
    let states = site.journal.outbox_states().await?;
    let held = states.iter().find(|(name, _)| name == "held").map_or(0, |it| it.1);
    let content = context! { rows => told(&rows), state => asked, states => STATES.iter().map(name_of).collect::<Vec<_>>(), held };
    page("outbox.html", &frame, content)
}
