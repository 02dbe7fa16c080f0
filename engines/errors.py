"""Errors that a person can act on: each class owns its sentence, callers pass facts.

A sentence says what failed, because of what, and what to do.
"""

from __future__ import annotations


class EchoGFRError(Exception):
    """The base of every error that the user should see as one sentence.

    Parameters
    ----------
    what : str
        What failed, without a full stop: ``"The bundle /x cannot be opened"``.
    because : str
        The cause, in the user's words.
    cure : str
        What to do about it, in the imperative.
    """

    def __init__(self, what: str, because: str, cure: str) -> None:
        self.what = what
        self.because = because
        self.cure = cure
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """What failed, because of what, what to do: one line."""
        return f"{self.what}, because {self.because}: {self.cure}."


class BundleError(EchoGFRError):
    """A bundle is missing, malformed, changed or not made for this version."""


class SignatureError(EchoGFRError):
    """A key cannot be used, or a bundle's signature is not what is asked for."""


class TensorMismatchError(EchoGFRError):
    """An array does not have the shape, dtype or range that its contract asks for."""


class RuntimeUnavailableError(EchoGFRError):
    """No runtime can run what was asked for; the reasons of each are in the sentence."""


class InferenceError(EchoGFRError):
    """A loaded session failed, or answered with values that are not finite."""


class ServerUnavailableError(InferenceError):
    """An inference server does not answer, not in time, or not as the one that was checked; it may come back."""


class UsageError(EchoGFRError):
    """The user asked for something that cannot be done as asked."""
