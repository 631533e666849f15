//! What the diagnosis comes to.

/// The first reason why a change would not be delivered now, if there is one. Completes a sentence.
pub(super) type Verdict = Result<(), &'static str>;
