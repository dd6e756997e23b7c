//! What the tools decide: what a click id is worth, what a link is made of, what a hop did to its parameters. They ask
//! nobody; who fetches and who keeps is the engine's business.

pub mod click_extract;
pub mod given;
pub mod hop;
pub mod link;
pub mod page;
pub mod shown;
pub mod utm;
