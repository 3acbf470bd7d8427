"""What an operator asks of the whole installation: which rows need a look, and does it live."""

from bots.watch.questions import QUESTIONS, Question, find, of_model

__all__ = ["QUESTIONS", "Question", "find", "of_model"]
