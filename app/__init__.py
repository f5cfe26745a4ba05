"""FewTune: how much of what an instruction-tuned model can do was already there in its base model?"""

__version__ = "0.1.0"
