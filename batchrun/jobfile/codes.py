"""The codes of problems in job files: one table of number, meaning and severity. A number is never used again.

BR0 files and their grammar · BR1 jobs · BR2 what only the queue can see (written down there)
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from batchrun.core.problem import Severity


class Code(StrEnum):
    """What is wrong, as a number. `meaning` is one line for people, `severity` what it is unless a check says else."""

    meaning: str
    severity: Severity

    def __new__(cls, number: str, meaning: str, severity: Severity = Severity.ERROR) -> Self:
        member = str.__new__(cls, number)
        member._value_ = number
        member.meaning = meaning
        member.severity = severity
        return member

    NOT_JSON = "BR001", "a line is not valid JSON"
    NOT_UTF8 = "BR002", "a line or file is not UTF-8"
    LINE_TOO_LONG = "BR003", "a line is longer than any request may be"
    KEY_TWICE = "BR004", "a key stands twice in one object; JSON would drop the first one silently"
    NO_JSON_NUMBER = "BR005", "NaN, Infinity, or a number too large for JSON's readers"
    LONE_SURROGATE = "BR006", "an escape like \\ud800 that is half a character and cannot be sent"
    TOO_DEEP = "BR007", "objects and lists are nested too deeply"
    TOO_MANY_DIGITS = "BR008", "a whole number has too many digits"
    NOT_AN_OBJECT = "BR009", "a job is not an object"
    UNREADABLE = "BR010", "a file is missing or cannot be read"
    NOT_A_FILE = "BR011", "a path names a directory or a device"
    EMPTY = "BR012", "a file holds no jobs"
    BINARY = "BR013", "a file is not text in UTF-8"
    UNKNOWN_SHAPE = "BR014", "a file is neither JSON lines nor YAML with jobs"
    OPENAI_LINE = "BR015", "a line is made for OpenAI's batch API"
    CHANGED_WHILE_READ = "BR016", "a file changed while it was read"

    NOT_YAML = "BR020", "a file is not valid YAML"
    YAML_TOO_LARGE = "BR021", "a YAML file is too large, or its aliases expand to too much"
    NOT_JSON_TYPE = "BR022", "YAML that JSON has no word for: tags, infinite numbers, merge keys, lists as keys"
    VERSION = "BR023", "`version` of a YAML file must be 1"
    WRONG_SECTION = "BR024", "`jobs` must be a list of jobs, `defaults` a set of parameters"

    INLINE_UNREADABLE = "BR030", "the file that an `@path` names is missing or cannot be read"
    INLINE_OUTSIDE = "BR031", "an `@path` leads out of the job file's folder"
    INLINE_NOT_TEXT = "BR032", "the file that an `@path` names is not text in UTF-8"
    INLINE_TOO_LARGE = "BR033", "what the `@path`s of a file name is too large"
    INLINE_NOWHERE = "BR034", "an `@path` in a job file that has no folder"

    LOST = "BR040", "something of another program's file that a job cannot have; it is left out", Severity.WARNING
    SAID_OTHERWISE = "BR041", "something of another program's file that a job says in another way", Severity.WARNING
    CANNOT_CONVERT = "BR042", "something of another program's file without which the job would be another one"
    FOREIGN = "BR043", "a file made for another program, which `batchrun convert` turns into a job file"

    NOT_CSV = "BR050", "a table that cannot be read: its header, its quotes, or rows of another width"
    NOT_A_ROW = "BR051", "data that are no row: not an object, or a value that JSON has no word for"
    TABLE = "BR052", "a table as a job file: a prompt makes jobs of its rows"
    NO_TEMPLATE = "BR053", "data, variables or a matrix without a template, or a template without data"
    TEMPLATE = "BR054", "a text of a template that is no template"
    DATA = "BR055", "`data` of a file is neither a path below its folder nor a list of rows"
    VARIABLES = "BR056", "`vars` or `matrix` of a file do not have the form of names with their values"
    NO_COLUMN = "BR057", "a template names what a row does not have"
    NOT_RENDERED = "BR058", "a template gives nothing for a row: it fails, or goes without measure"

    # BR101 (an id that stands twice) is found by the queue's index, and written down there.
    ID = "BR102", "an id is not text of 1 to 512 characters"
    MAX_TOKENS = "BR103", "`max_tokens` is not a whole number from 1"
    UNKNOWN_KEY = "BR104", "a key or parameter that is not known", Severity.WARNING
    NO_MODEL = "BR105", "`model` is missing"
    MODEL = "BR106", "`model` is not text"
    NO_MAX_TOKENS = "BR107", "`max_tokens` is missing"
    MAX_TOKENS_OVER = "BR108", "`max_tokens` is more than the model writes"
    NO_MESSAGES = "BR109", "neither `messages` nor `prompt` is given"
    PROMPT_AND_MESSAGES = "BR110", "`prompt` and `messages` are both given"
    MESSAGES = "BR111", "`messages` does not have the form the API wants"
    STREAM = "BR112", "`stream` makes no sense here: batchrun decides how an answer travels"
    NO_TEXT = "BR113", "a text is empty"
    PROMPT = "BR114", "`prompt` is not text"
    TOO_LARGE = "BR115", "a request is larger than the API takes (32 MB)"
    NEARLY_TOO_LARGE = "BR116", "a request is nearly as large as the API takes (32 MB)", Severity.WARNING
    UNKNOWN_MODEL = "BR117", "a model that the table does not name; it may be new", Severity.WARNING
    MODEL_RETIRED = "BR118", "a model that answers no more"
    MODEL_RETIRES = "BR119", "a model that is deprecated and will be switched off", Severity.WARNING
    SAMPLING = "BR120", "`temperature`, `top_p` or `top_k` where they are refused"
    PREFILL = "BR121", "the last message is the assistant's, which this model refuses"
    OVER_CONTEXT = "BR122", "a request is larger than the model's context window"
    NEAR_CONTEXT = "BR123", "a request may be larger than the model's context window", Severity.WARNING
    SECRET = "BR124", "a line holds an API key, which would be sent and stored"
    NO_PARAMS = "BR126", "an Anthropic batch line without `params`"
    SYSTEM = "BR127", "`system` is neither text nor a list of text blocks"
    THINKING = "BR128", "a kind of `thinking` that the model refuses"
    FORCED_TOOL = "BR129", "`tool_choice` forces a tool, which the model refuses"
    GEO = "BR130", "`inference_geo`, which the model refuses"
    BLOCK_REFUSED = "BR131", "a content block where this API version refuses it"
    METADATA = "BR132", "`metadata` of a job is not an object"
    METADATA_KEPT = "BR133", "`metadata` of a short line is handed back with the answer, not sent", Severity.WARNING
    HEADERS = "BR134", "`headers` in a job: all requests of a run leave with the same"
    TAGS = "BR135", "`tags` is not a list of words"
    MAX_COST = "BR136", "`max_cost` of a job is no amount of dollars"
    OVER_MAX_COST = "BR137", "a job may cost more than its own `max_cost`"
    BETAS = "BR138", "`betas` of a file is not a list of beta features, or two files name other ones"
    HEADER = "BR139", "a header of a file that cannot be sent, is batchrun's own, or would be a stored secret"
    SOURCE = "BR140", "a picture or document without a source that can be read"
    MEDIA_TYPE = "BR141", "a picture or document of a kind that the API does not read"
    MEDIA_MISMATCH = "BR142", "a `media_type` that is not what the data is"
    BASE64 = "BR143", "data that is not base64"
    IMAGE_TOO_LARGE = "BR144", "a picture is larger than the API takes (10 MB of base64)"
    IMAGE_NEARLY_TOO_LARGE = "BR145", "a picture is nearly as large as the API takes", Severity.WARNING
    IMAGE_DIMENSIONS = "BR146", "a picture is wider or taller than the API takes"
    TOO_MANY_IMAGES = "BR147", "a request has more pictures than the API takes"
    CACHE_MARKS = "BR148", "more than four marks of `cache_control`"
    CACHE_CONTROL = "BR149", "a `cache_control` that the API does not know"
    TOOL = "BR150", "a tool without a name or an input schema"
    TOOL_TWICE = "BR151", "two tools of one name"
    TOOL_CHOICE = "BR152", "`tool_choice` without tools, or for a tool that is not there"
    EFFORT = "BR153", "an effort that the model does not take"
    OUTPUT = "BR154", "`output_config` does not have the form the API wants"
    OUTPUT_SCHEMA = "BR155", "a JSON Schema that structured outputs refuse"
    THINKING_BUDGET = "BR156", "a `budget_tokens` that the API refuses"
    THINKING_AND_TOOL = "BR157", "thinking, and a tool that is forced"
    THINKING_ROOM = "BR158", "`max_tokens` leaves the model no room to think", Severity.WARNING
    THINKING_EFFORT = "BR159", "thinking is off at an effort that needs it"
    STOP_SEQUENCES = "BR160", "`stop_sequences` that the API refuses"
    BASE64_BREAKS = "BR161", "base64 with line breaks in it", Severity.WARNING


IGNORABLE = frozenset(
    {
        *(Code.UNKNOWN_KEY, Code.MAX_TOKENS_OVER, Code.NEARLY_TOO_LARGE, Code.UNKNOWN_MODEL, Code.MODEL_RETIRED),
        *(Code.MODEL_RETIRES, Code.SAMPLING, Code.PREFILL, Code.OVER_CONTEXT, Code.NEAR_CONTEXT, Code.THINKING),
        *(Code.FORCED_TOOL, Code.GEO, Code.BLOCK_REFUSED, Code.METADATA_KEPT),
        *(code for code in Code if "BR140" <= code <= "BR161"),
    }
)
"""What the user may know better: the job can be sent all the same. The API changes, and tables grow old."""


COMMON = frozenset(
    {
        Code.UNKNOWN_MODEL,
        Code.MODEL_RETIRED,
        Code.MODEL_RETIRES,
        Code.METADATA_KEPT,
        Code.THINKING_ROOM,
        Code.LOST,
        Code.SAID_OTHERWISE,
    }
)
"""About what many jobs have in common: one of them in the same words says it for all."""
