"""The same training with other tools, each as its competent user would write it; run in an environment of their own."""
