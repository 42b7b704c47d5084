"""Networks that ship with Unmask: each a folder with a card; `store` finds and checks them, `runtime` runs them."""
