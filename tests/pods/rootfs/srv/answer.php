<?php echo getenv('COLOUR');
