//! What expressions give.
