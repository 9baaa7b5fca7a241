//! qcow2 as it is written, and what only its reader knows.
