//! What a destination's templates ask for: what the linter must know about each macro.

use crate::template::Macro;

/// A macro in one of a destination's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacroUse {
    /// The setting in which it stands; the one that brings it, if it comes from a preset.
    pub setting: &'static str,
    /// The macro.
    pub found: Macro,
    /// The parameters of a click in which its source's click id may stand.
    pub click_params: Vec<String>,
}
