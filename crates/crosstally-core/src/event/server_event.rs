//! One server event as a backend or app sends it, read into an [`super::OutboundEvent`].
