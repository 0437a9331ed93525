"""Consumers for Tidegate in Python. The README of the package is the manual; each name here has its documentation."""

from tidegate_sdk import sse
from tidegate_sdk.access import claims, user
from tidegate_sdk.channel_consumers import channel
from tidegate_sdk.codec.records import strict
from tidegate_sdk.context import Context, Group, Level, Reply
from tidegate_sdk.errors import (
    ConsumerError,
    FetchError,
    FetchFailed,
    FlushError,
    Forbidden,
    ForbiddenFetch,
    ForbiddenHistory,
    ForbiddenKeys,
    ForbiddenPresence,
    ForbiddenSession,
    HistoryError,
    HistoryUnavailable,
    InvalidCall,
    InvalidContent,
    InvalidFetch,
    InvalidHistory,
    InvalidName,
    InvalidPresence,
    InvalidReply,
    InvalidSession,
    NewerSchema,
    NoConnection,
    NoSession,
    NoUser,
    PresenceError,
    PresenceUnavailable,
    ReplyError,
    SendError,
    SessionError,
    SessionsUnavailable,
    StateTooLarge,
    StateUnreadable,
    StoreError,
    StoreUnavailable,
    TimerError,
    TooLarge,
    Unreadable,
    UnreadableValue,
    WrongEvent,
)
from tidegate_sdk.exports import Consumers, export
from tidegate_sdk.extract import Cookies, Form, FromRequest, Header, Json, Query
from tidegate_sdk.fetched import Answer, Fetched, FetchFailure
from tidegate_sdk.frame import Chunk, Close, Message
from tidegate_sdk.histories import history
from tidegate_sdk.http_consumers import http
from tidegate_sdk.members import Member, Members
from tidegate_sdk.multipart import Multipart, Part
from tidegate_sdk.presences import PresenceChange, presence
from tidegate_sdk.remembered import History, HistoryPage, Remembered
from tidegate_sdk.response import HttpError, Problem, Response
from tidegate_sdk.schedules import Tick, schedule
from tidegate_sdk.scope import Request, Scope
from tidegate_sdk.sessions import Session, Sessions, SignedIn
from tidegate_sdk.socket import Handshake, Socket
from tidegate_sdk.store import Store, StoreView
from tidegate_sdk.throttle import Throttle
from tidegate_sdk.timers import Timers
from tidegate_sdk.users import User
from tidegate_sdk.websocket_consumers import websocket

__all__ = [
    "Answer",
    "Chunk",
    "Close",
    "ConsumerError",
    "Consumers",
    "Context",
    "Cookies",
    "FetchError",
    "FetchFailed",
    "FetchFailure",
    "Fetched",
    "FlushError",
    "Forbidden",
    "ForbiddenFetch",
    "ForbiddenHistory",
    "ForbiddenKeys",
    "ForbiddenPresence",
    "ForbiddenSession",
    "Form",
    "FromRequest",
    "Group",
    "Handshake",
    "Header",
    "History",
    "HistoryError",
    "HistoryPage",
    "HistoryUnavailable",
    "HttpError",
    "InvalidCall",
    "InvalidContent",
    "InvalidFetch",
    "InvalidHistory",
    "InvalidName",
    "InvalidPresence",
    "InvalidReply",
    "InvalidSession",
    "Json",
    "Level",
    "Member",
    "Members",
    "Message",
    "Multipart",
    "NewerSchema",
    "NoConnection",
    "NoSession",
    "NoUser",
    "Part",
    "PresenceChange",
    "PresenceError",
    "PresenceUnavailable",
    "Problem",
    "Query",
    "Remembered",
    "Reply",
    "ReplyError",
    "Request",
    "Response",
    "Scope",
    "SendError",
    "Session",
    "SessionError",
    "Sessions",
    "SessionsUnavailable",
    "SignedIn",
    "Socket",
    "StateTooLarge",
    "StateUnreadable",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "StoreView",
    "Throttle",
    "Tick",
    "TimerError",
    "Timers",
    "TooLarge",
    "Unreadable",
    "UnreadableValue",
    "User",
    "WrongEvent",
    "channel",
    "claims",
    "export",
    "history",
    "http",
    "presence",
    "schedule",
    "sse",
    "strict",
    "user",
    "websocket",
]
