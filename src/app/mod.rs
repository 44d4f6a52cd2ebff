//! To come: app.
