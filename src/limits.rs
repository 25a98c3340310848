//! Every bound in one place, with its unit and its reason.
//!
//! What a bound cuts off is counted and reported, never dropped in silence.

use std::time::Duration;

/// The longest line that can be a call, in bytes without its line ending. Longer ones are `too-long`.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes that a format's regular expression may take when compiled, and again while it is being matched.
pub const REGEX_BYTES_MAX: usize = 4 << 20;

/// How many bytes one worker takes at a time. Large enough that the cost of handing it over
/// vanishes, small enough that a few of them fit the caches and 2 cores share the end of a file fairly.
pub const CHUNK_BYTES: usize = 4 << 20;

/// The same of a compressed log, decompressed: what one worker decodes, and parses while another decodes. It fits the second
/// cache of a core; a longer line makes a longer piece.
pub const DECODED_CHUNK_BYTES: usize = 1 << 20;

/// How much of a compressed log, as it lies, is decoded by one worker before it is its turn, as far as it is made of gzip
/// members or zstd frames no longer than that. Enough that the cost of handing it over vanishes.
pub const TASK_BYTES: usize = 128 << 10;

/// What that may decode to: the memory that each takes. Longer members and frames are decoded when it is their turn.
pub const TASK_DECODED_BYTES_MAX: usize = 8 << 20;

/// How many such there are at a time for one log, whatever the number of threads.
pub const TASKS_MAX: usize = 16;

/// After so many of them in vain no more are planned for a log: it is not what it seemed.
pub const TASKS_FAILED_MAX: usize = 16;

/// How far is looked for the end of a member or frame, compressed. Those that decode to what a task may hold are shorter.
pub const PART_BYTES_MAX: usize = 2 << 20;

/// How much of a member is decoded at a time where it is decoded whole.
pub const DECODED_STEP_BYTES: usize = 1 << 20;

/// The largest window that the decoder accepts of a zstd frame: memory that whoever wrote it asks for.
pub const ZSTD_WINDOW_BYTES_MAX: u64 = 1 << 27;

/// Calls that are sorted by partner and folded at a time: enough for each partner to have some. They take some
/// 10 MB of each worker.
pub const ROWS_FOLDED: usize = 1 << 17;

/// Bytes that sums by day may take in memory, of all workers together: those of some days of a large traffic. What is more is
/// laid aside in a file.
pub const COUNTED_BYTES_MAX: usize = 512 << 20;

/// After how many bytes of logs a worker looks how much memory its sums take. What they grow by meanwhile is a few times as
/// much at most.
pub const COUNTED_WEIGHED_BYTES: u64 = 64 << 20;

/// Layouts of lines that a worker keeps. Programs that leave out what is empty write a few.
pub const LAYOUTS_KEPT_MAX: usize = 8;

/// Values in a layout. Lines with more are rarely alike.
pub const LAYOUT_VALUES_MAX: usize = 128;

/// The longest line whose quotes are found at once, in bytes. Longer ones are rare.
pub const LAYOUT_QUOTED_BYTES_MAX: usize = 1 << 10;

/// Texts that one line may be read for.
pub const LINE_TEXTS_MAX: usize = 8;

/// Segments of a dotted name. One of n may be split in 2^(n-1) ways, since keys may contain dots.
pub const NAME_SEGMENTS_MAX: usize = 8;

/// How many times a record may be wrapped in another: shippers wrap what shippers wrapped.
pub const WRAPPINGS_MAX: usize = 4;

/// Elements of an array that are rendered in one go.
pub const RENDERED_ELEMENTS: usize = 512;

/// Parts of a report for each thread that are rendered before the first of them is written.
pub const RENDERED_PARTS_EACH: usize = 4;

/// The longest name of a partner's page, in bytes; file systems take 255.
pub const FILE_NAME_BYTES_MAX: usize = 120;

/// Worker threads that may be asked for: more than any machine has cores. Each keeps sums of its own.
pub const THREADS_MAX: u16 = 1024;

/// How much of an input is looked at to tell its format, decompressed.
pub const HEAD_BYTES: usize = 256 << 10;

/// Inputs that stay open between looking at them and reading them. Each holds a file descriptor and its head.
pub const INPUTS_OPEN_MAX: usize = 64;

/// How many bytes at either end of what was read of a log it is known by another time: a block of most file systems.
pub const MARK_BYTES: usize = 4 << 10;

/// No gap between two runs counts for more than this, in seconds, where logs are forgotten by the time that runs saw pass: a
/// clock that jumped makes none of them forgotten.
pub const RUN_GAP_MAX_S: u64 = 36 * 3600;

/// Registers, the latest, with which a new one is compared for the days that they judged. Each must be read and compiled; days of
/// which another said otherwise before these count as touched still.
pub const REGISTERS_COMPARED_MAX: usize = 16;

/// How far the clock may lie before the last run's, in seconds, and be put right: clocks are.
pub const CLOCK_BACK_MAX_S: u64 = 3600;

/// Lines of a head that are tried to tell its format, of those that are complete and not blank.
pub const TRIED_LINES_MAX: usize = 200;

/// Shapes of lines that are told where no format fits: a log is seldom made of more.
pub const SHAPES_TOLD_MAX: usize = 5;

/// How far a call's time may lie after the run's, in seconds, and be that of a clock that is a little ahead.
pub const CLOCK_AHEAD_MAX_S: u64 = 3600;

/// How much is looked at where no line of the head could be a call: room for the longest, after some that are too long.
pub const HEAD_BYTES_MAX: usize = 8 << 20;

/// What is kept of a line that is too long: enough for its shape, too little to matter.
pub const LONG_LINE_HEAD_BYTES: usize = 4 << 10;

/// Regular files of at least this many bytes are memory-mapped under `--io auto`.
pub const MAP_BYTES_MIN: u64 = 16 << 20;

/// How many bytes of a file are read at a time where nobody asks for more.
pub const READ_BYTES: usize = 64 << 10;

/// How many bytes are read and hashed at a time where a hash is to go on another night: a power of two, at which the subtrees of
/// the hash end.
pub const HASHED_BYTES: usize = 1 << 20;

/// How much of two files is compared before all of them is.
pub const COMPARED_BYTES: usize = 64 << 10;

/// Distinct subjects counted exactly in one row; thresholds of 500 people must be exact.
pub const SUBJECTS_EXACT_MAX: usize = 512;

/// Unknown credentials counted one by one; a scan with random keys must not fill memory.
pub const UNKNOWN_CREDENTIALS_MAX: usize = 65_536;

/// Credentials that a worker remembers resolved; past it, it starts anew.
pub const CREDENTIALS_REMEMBERED_MAX: usize = 65_536;

/// Operations that only the log brings listed for one finding, in byte order; the rest is `(other)`.
/// Of a credential that is stale or unknown, all operations.
pub const OPERATIONS_LISTED_MAX: usize = 32;

/// Operations that only logs brought which are remembered for each partner and api, in byte order: an api has some dozens. Where
/// there were more, none of them is called unused once the register has a word for it.
pub const LOGGED_OPERATIONS_NOTED_MAX: usize = 128;

/// Unknown credentials that become a finding each; the rest share one.
pub const UNKNOWN_CREDENTIAL_FINDINGS_MAX: usize = 100;

/// Distinct names, or sets of them, that a log may bring which the register does not know: (api, operation), and
/// (credential, templated path, operation) where nothing is judged.
pub const LOGGED_NAMES_MAX: usize = 65_536;

/// Bytes of the names of one such set, and of a credential that a worker remembers. A name longer than any that people
/// give is a mistake or an attack; it counts as `(other)`.
pub const NAME_BYTES_MAX: usize = 1 << 10;

/// Credentials that a first register is drafted with. Those that come after them are counted as one.
pub const DRAFT_CREDENTIALS_MAX: usize = 65_536;

/// Places in paths, each a segment behind those before it, from which routes are drafted.
pub const DRAFT_PLACES_MAX: usize = 1 << 17;

/// Words told apart in one place of paths; those that come after them are taken for ids.
pub const DRAFT_WORDS_MAX: usize = 1024;

/// Segments of a path that a route is drafted from. Real ones have a dozen.
pub const DRAFT_SEGMENTS_MAX: usize = 24;

/// Hosts told apart where routes are drafted.
pub const DRAFT_HOSTS_MAX: usize = 62;

/// Apis that logs name and a first register is drafted with.
pub const DRAFT_APIS_MAX: usize = 500;

/// Routes that are drafted: the most called. More than a person reads through are no help.
pub const DRAFT_ROUTES_MAX: usize = 500;

/// Bytes of the path kept of each credential, to tell what an example of a grant may be for.
pub const DRAFT_EXAMPLE_BYTES_MAX: usize = 256;

/// Calls that `synth` draws at a time on one thread: some megabytes of log.
pub const SYNTH_BLOCK_CALLS: u64 = 10_000;

/// Calls that it may be asked for, which are more than any disk holds: numbers up to here are exact in all that is reckoned with
/// them.
pub const SYNTH_CALLS_MAX: u64 = 1_000_000_000_000;

/// Rows of one table of its register: what is kept of each takes some tens of bytes.
pub const SYNTH_ROWS_MAX: u64 = 100_000_000;

/// Days that its calls may be spread over: ten years.
pub const SYNTH_DAYS_MAX: u64 = 3650;

/// Logs that it may write.
pub const SYNTH_FILES_MAX: u64 = 100_000;

/// Hours in the series: eleven years. Clocks that went wrong must not fill memory.
pub const SERIES_HOURS_MAX: usize = 100_000;

/// Hours of a partner's use of an api that are kept apart to look for anomalies in: of 3,500 such pairs seven weeks, of fewer more.
/// Each takes 40 to 120 bytes.
pub const HOURLY_USES_MAX: usize = 1 << 22;

/// Days on which calls of one grant or api were served that are told apart: eleven years. Clocks that went wrong must not fill
/// memory.
pub const SERVED_DAYS_MAX: usize = 4096;

/// Days of logs since a partner's first call before which nothing that it does is called new: it is still beginning.
pub const NEW_USE_DAYS_MIN: u64 = 14;

/// Networks that one credential may be presented from and be tied to them: those of a partner's servers are few, those of people's
/// phones are not.
pub const NETWORKS_MAX: usize = 64;

/// Networks whose calls are counted apart for one credential: room for those that it is tied to, and more.
pub const NETWORKS_COUNTED_MAX: usize = 256;

/// Days of logs without a served call after which one is called a waking.
pub const WOKEN_DAYS_MIN: u64 = 60;

/// Served lines kept as evidence at each end of a finding.
pub const EVIDENCE_EACH_END: usize = 3;

/// Bytes of a line up to which evidence keeps its text for as long as others may still take its place. Longer ones are
/// hashed at once.
pub const EVIDENCE_TEXT_MAX: usize = 1 << 10;

/// Decompressed bytes from which on two files of one source with the same content are one delivered twice. Shorter ones
/// may be alike by chance.
pub const REPEATED_FILE_BYTES_MIN: usize = 1 << 10;

/// Seconds that a reminder may come early: nights are not always as long, for timers fire a little early or late.
pub const REMINDER_EARLY_S: u64 = 3600;

/// Days of logs read below which nothing is called unused: what is used once a month may not have had its turn.
pub const UNUSED_DAYS_MIN: usize = 30;

/// Rejects kept as a sample, for each reason.
pub const REJECTS_KEPT_PER_REASON: usize = 20;

/// Characters of a reject's shape.
pub const SHAPE_CHARS_MAX: usize = 80;

/// Waits between the attempts to deliver an alert within one run: one more attempt than there are waits.
pub const ALERT_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// The longest wait that a receiver may ask for within a run. What asks for more waits for the next run.
pub const ALERT_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long one attempt may take, in seconds, at most: a night has an end.
pub const ALERT_TIMEOUT_MAX_S: u64 = 600;

/// How often is looked whether a command has ended: the longest wait between two looks.
pub const ALERT_COMMAND_LOOK_MAX: Duration = Duration::from_millis(50);

/// How long a command that has ended may keep its standard error open by programs it left behind, before it is not read on.
pub const ALERT_COMMAND_WORDS_WAIT: Duration = Duration::from_millis(500);

/// The end of a command's standard error that is kept: its last line is the reason.
pub const ALERT_COMMAND_WORDS_BYTES: usize = 4 << 10;

/// Of a receiver's answer so much is read, and thrown away: enough that a decent one sees its answer taken.
pub const ALERT_ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Characters of the reason why an alert waits.
pub const ALERT_REASON_CHARS_MAX: usize = 300;

/// A secret or a template in a file: no token and no template that a person writes is longer.
pub const ALERT_FILE_BYTES_MAX: u64 = 1 << 20;

/// What a template of the user may make of one message, in bytes.
pub const ALERT_BODY_BYTES_MAX: usize = 16 << 20;

/// Steps that rendering one message may take: far more than a template that ends needs.
pub const ALERT_TEMPLATE_STEPS_MAX: u64 = 20_000_000;

/// Changes that one message shows where people read it. The rest is counted, and stands in the report.
pub const ALERT_CHANGES_SHOWN_MAX: usize = 30;

/// Findings that one message tells to Alertmanager, the gravest first. More would be no help, and might not be taken.
pub const ALERT_ALERTS_MAX: usize = 5000;

/// Characters of one value in a message that people read.
pub const ALERT_VALUE_CHARS_MAX: usize = 400;

/// Characters of a chat message: services cut or refuse what is longer than 40,000.
pub const ALERT_CHAT_CHARS_MAX: usize = 35_000;

/// Bytes of a card: Teams refuses one of more than 28 KB.
pub const ALERT_CARD_BYTES_MAX: usize = 25_000;

/// Characters of a channel's name.
pub const ALERT_NAME_CHARS_MAX: usize = 100;

const _: () = assert!(CHUNK_BYTES > LINE_BYTES_MAX, "a chunk must hold the longest line");
const _: () =
    assert!(HEAD_BYTES_MAX > 2 * LINE_BYTES_MAX, "a head must reach past a line that is too long");
const _: () = assert!(HASHED_BYTES.is_power_of_two(), "a hash goes on where a subtree of it ends");
const _: () = assert!(
    SUBJECTS_EXACT_MAX * size_of::<u64>() <= 4096,
    "a row's subjects never take more than 4 KiB"
);
