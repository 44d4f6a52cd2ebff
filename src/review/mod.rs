//! To come: review.
