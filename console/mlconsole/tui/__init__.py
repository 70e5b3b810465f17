"""The screen: widgets show, screens arrange, actions decide."""
