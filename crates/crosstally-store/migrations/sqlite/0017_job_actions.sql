-- What a job does with its deliveries: `send` them, or `cancel` those that wait. All that there are send.
ALTER TABLE delivery_jobs ADD COLUMN action TEXT NOT NULL DEFAULT 'send';
