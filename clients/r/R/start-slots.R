# A turn for each of many forked processes that start a server at the same time.
#
# Starting takes a tenth of a second of a processor. When a hundred processes start at once, each of them would take ten
# seconds, and be taken for one that does not start. The turns are folders in the session's, which forked processes
# share.

START_SLOTS <- 4
START_PATIENCE <- 300

#' Waits for a turn. Returns its folder, which is to be released; NULL when the wait was too long.
#' @noRd
start_slot <- function() {
  slots <- file.path(tempdir(), sprintf("polylaplace-start-%d", seq_len(START_SLOTS)))
  end <- now() + START_PATIENCE
  while (now() < end) {
    for (slot in slots) {
      if (dir.create(slot, showWarnings = FALSE)) {
        cat(Sys.getpid(), file = file.path(slot, "pid"))
        return(slot)
      }
      owner <- read_number(file.path(slot, "pid"))
      # Its owner was killed.
      if (!is.na(owner) && !tools::pskill(owner, 0L)) release_slot(slot)
    }
    # Seldom, and not all at the same time: a hundred that look often would take the time of those that start.
    allowInterrupts(Sys.sleep(0.2 + (Sys.getpid() %% 64) / 320))
  }
  NULL
}

release_slot <- function(slot) if (!is.null(slot)) unlink(slot, recursive = TRUE)
