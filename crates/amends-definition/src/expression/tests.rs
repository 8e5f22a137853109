//! What expressions give, against the evaluator of the `cel` crate where both promise the same.
