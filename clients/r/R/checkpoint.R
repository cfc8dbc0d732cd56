# The folder in which the sums of parts are kept, for a later run that goes on from there.

#' The sums of a request, from the checkpoint folder where they are there. Only bytes are kept, which the server checks.
#' @noRd
kept_sums <- function(given, checkpoint) {
  same <- given$params
  # Neither changes the sums.
  same$options[c("threads", "memoryLimit")] <- NULL
  file <- file.path(checkpoint, paste0(fingerprint_of(same), ".partial"))
  if (!file.exists(file)) {
    answer <- summed(given$params)
    write_whole(answer$partial, file)
    return(new_partial(answer, given$levels))
  }
  data <- readBin(file, raw(), file.size(file))
  answer <- tryCatch(
    request(laplace_server(), "mergePartials", list(partials = list(data), repeats = "refuse")),
    laplace_error = function(condition) {
      condition$message <- sprintf(
        "%s is damaged: %s Remove it: its rows are then summed again.", file, conditionMessage(condition)
      )
      stop(condition)
    }
  )
  new_partial(answer, given$levels)
}

#' A fingerprint of anything in R; rows and network are in it.
#' @noRd
fingerprint_of <- function(value) {
  file <- tempfile()
  on.exit(unlink(file))
  writeBin(serialize(value, NULL), file)
  unname(tools::md5sum(file))
}

CHECKPOINT_MARK <- "polylaplace-checkpoint"

#' Marks the folder, so that workers can tell that they see the same one.
#' @noRd
mark_checkpoint <- function(checkpoint) {
  if (is.null(checkpoint)) return(NULL)
  check_that(is.character(checkpoint) && length(checkpoint) == 1 && isTRUE(nzchar(checkpoint)), "checkpoint",
             "the path of a folder")
  dir.create(checkpoint, showWarnings = FALSE, recursive = TRUE)
  if (!dir.exists(checkpoint) || file.access(checkpoint, 2) != 0) {
    laplace_stop(
      sprintf("`checkpoint` must be a folder that can be written to, or made; '%s' cannot.", checkpoint), "BAD_OPTION",
      list(option = "checkpoint", value = checkpoint)
    )
  }
  token <- paste(Sys.getpid(), format(Sys.time(), "%Y%m%d%H%M%OS6"))
  writeLines(token, file.path(checkpoint, CHECKPOINT_MARK))
  list(folder = checkpoint, token = token)
}
