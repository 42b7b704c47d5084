"""Where examinations run: in this process (`inline`) or in disposable ones (`processes`). One contract for both."""
