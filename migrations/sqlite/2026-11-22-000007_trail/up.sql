-- The brokers that a request has come through: what it causes goes on behind them, whenever it is done.
ALTER TABLE sagas ADD COLUMN trail TEXT;
