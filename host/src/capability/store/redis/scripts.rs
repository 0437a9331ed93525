//! The scripts of the store.

crate::redis::declare_scripts! {
    data_layout data_read data_scan data_commit data_outcome
    data_waiting data_forget data_due data_timers data_usage data_modules
    data_sweep data_clear data_export data_export_step
}
