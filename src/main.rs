//! overstay
fn main() {}
