//! VHDX, as QEMU writes and reads it; logs that were left behind; and what must be refused.

mod damage;
mod hostile;
mod logs;
mod plans;
mod reading;
mod victim;
