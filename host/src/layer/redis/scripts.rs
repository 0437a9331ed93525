//! The scripts of the layer.

crate::redis::declare_scripts! {
    send receive read_by settle
    deliver taken put
    later promote
    waiting find_waiting move_waiting
    join leave join_named leave_named members
    enter exit online
    remember join_from history positions
    upkeep close statistics probe
    give_answer take_answer
    presence presence_members
}
